// The map beside the embedding space: the scenes, and on them the chips that were chosen.
import { createBaseMap, fit } from '../map/base_map.js';
import { canvasGrid } from '../map/canvas_grid.js';
import { CYAN } from '../map/colours.js';
import { inTile, ring, trace } from '../map/footprints.js';
import { outline } from '../map/outline.js';
import { addCredit, sceneLayer } from '../map/scenes.js';

// `colours(state)` returns a function from row to colour or null; `onPick` is called with the place clicked.
export function createSpaceMap({ root, store, data, colours, onPick }) {
  const { collection, base, basemap } = data;
  return createBaseMap(root.querySelector('.lk-map'), {
    basemap,
    options: { doubleClickZoom: true },
    draw(L, map) {
      fit(map, collection.bounds);
      for (const scene of collection.scenes) sceneLayer(L, base, collection, scene).addTo(map);
      addCredit(L, map, collection.scenes);
      map.on('click', ({ latlng }) => onPick(latlng.lng, latlng.lat));
      return [drawChips(L, map, store, colours), drawQuery(L, map, store)];
    },
    fail: (problem) => store.set({ problem }),
  });
}

function drawChips(L, map, store, colours) {
  let layer = null;
  return store.watch(['shown', 'like', 'footprints'], (state) => {
    layer?.remove();
    layer = state.footprints ? chipLayer(L, state.footprints, colours(state)).addTo(map) : null;
  });
}

function drawQuery(L, map, store) {
  const group = L.layerGroup().addTo(map);
  return store.watch(['query', 'footprints'], ({ query, footprints }) => {
    group.clearLayers();
    if (!query || !footprints) return;
    const look = { weight: 3.5, fill: 0 };
    group.addLayer(outline(L, ring(footprints, query.row), CYAN, 'overlayPane', look));
  });
}

const chipLayer = (L, footprints, colourOf) =>
  canvasGrid(L, 'overlayPane', (pen, coords, size) => {
    for (const row of inTile(footprints, coords, size)) {
      const colour = colourOf(row);
      if (!colour) continue;
      // Its middle alone: overlapping chips stay apart.
      pen.beginPath();
      trace(pen, footprints, row, coords, size, 0.22);
      pen.fillStyle = colour;
      pen.fill();
      pen.lineWidth = 1;
      pen.strokeStyle = 'rgb(11 18 32 / 0.8)';
      pen.stroke();
    }
  });

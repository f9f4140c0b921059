// The map beside the embedding space: the scenes, and on them the chips that were chosen.
import { CYAN, NIGHT } from '../map/colours.js';
import { inTile, ring, trace } from '../map/footprints.js';
import { followMap } from '../shared/idle.js';
import { loadLeaflet } from '../map/leaflet.js';
import { addCredit, box, sceneLayer } from '../search/map.js';

// `paints(state)` tells which colour a row has, or null; a click gives its place to `onPick`.
export function createSpaceMap({ root, store, data, paints, onPick }) {
  let [map, stopped, stops] = [null, false, []];
  const element = root.querySelector('.lk-map');
  loadLeaflet().then(
    (L) => {
      if (!stopped) draw(L);
    },
    (error) => store.set({ trouble: error }),
  );

  function draw(L) {
    const { collection, base, basemap } = data;
    map = L.map(element, {
      attributionControl: false,
      zoomSnap: 0.5,
      fadeAnimation: false,
      maxZoom: 22,
    });
    map.fitBounds(box(collection.bounds), { padding: [12, 12] });
    if (basemap) L.tileLayer(basemap, { maxZoom: 22, zIndex: 0 }).addTo(map);
    for (const scene of collection.scenes) sceneLayer(L, base, collection, scene).addTo(map);
    L.control.scale({ imperial: false, position: 'bottomleft' }).addTo(map);
    addCredit(L, map, collection);
    const chosen = L.layerGroup().addTo(map);
    let chips = null;
    const observer = new ResizeObserver(() => map.invalidateSize({ pan: false }));
    observer.observe(element);
    map.on('click', ({ latlng }) => onPick(latlng.lng, latlng.lat));
    stops = [
      followMap(map),
      () => observer.disconnect(),
      store.watch(['shown', 'like', 'footprints'], (state) => {
        chips?.remove();
        chips = state.footprints ? chipLayer(L, state.footprints, paints(state)).addTo(map) : null;
      }),
      store.watch(['query', 'footprints'], ({ query, footprints }) => {
        chosen.clearLayers();
        if (!query || !footprints) return;
        const shape = ring(footprints, query.row);
        const still = { interactive: false, fill: false };
        chosen.addLayer(L.polygon(shape, { ...still, color: NIGHT, weight: 6 }));
        chosen.addLayer(L.polygon(shape, { ...still, color: CYAN, weight: 3.5 }));
      }),
    ];
  }

  return {
    leaflet: () => map,
    stop() {
      stopped = true;
      for (const stop of stops) stop();
      map?.remove();
    },
  };
}

function chipLayer(L, footprints, colourOf) {
  const Chips = L.GridLayer.extend({
    createTile(coords) {
      const size = this.getTileSize().x;
      const sharp = Math.min(window.devicePixelRatio || 1, 2);
      const canvas = document.createElement('canvas');
      canvas.width = size * sharp;
      canvas.height = size * sharp;
      const pen = canvas.getContext('2d');
      pen.scale(sharp, sharp);
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
      return canvas;
    },
  });
  return new Chips({ pane: 'overlayPane', noWrap: true, updateWhenZooming: false, maxZoom: 24 });
}

// The map of the Search page.
import { addPanes, addToolbar, createBaseMap, fit, keepView } from '../map/base_map.js';
import { ring } from '../map/footprints.js';
import { addCredit, sceneLayer } from '../map/scenes.js';
import { h, icon, iconButton } from '../shared/dom.js';
import { formatScene } from '../shared/format.js';
import { createDrawing } from './drawing.js';
import { drawHeatmap } from './heatmap.js';
import { drawCursor, drawFilter, drawGrid, drawHits, drawQuery, reveal } from './map_layers.js';
import { listenToPointer } from './pointer.js';
import { createZoom } from './zoom.js';

// Answers at once; what needs Leaflet happens when it has loaded.
export function createMap(context) {
  const { store, root, data } = context;
  const element = root.querySelector('.lk-map');
  let view = null;
  const base = createBaseMap(element, {
    basemap: data.basemap,
    options: {
      boxZoom: false, // Shift and a click add an example
      keyboard: false, // arrows step through results; see keyboard.js
    },
    followSize: keepGround,
    draw(L, map, motion) {
      view = drawMap(L, map, motion, context);
      return view.stops;
    },
    fail: (problem) => store.set({ problem }),
  });
  const back = backButton(() => view?.back(), store);
  root.querySelector('.lk-map-pane').append(back.element);
  return {
    centre: () => base.leaflet()?.getCenter() ?? { lng: 0, lat: 0 },
    zoomTo: (index) => view?.zoomTo(index),
    // Brings a chip into view, if it is not.
    reveal: (row) => view?.reveal(row),
    zoomOrBack: (index) => (store.state.away ? view?.back() : view?.zoomTo(index)),
    back: () => view?.back(),
    draw: (kind) => view?.drawing.begin(kind),
    box: () => view?.drawing, // drawn by keys
    stopDrawing: () => view?.drawing.stop(),
    // What the map shows, as a polygon.
    outline: () => view?.drawing.view(),
    leaflet: base.leaflet,
    stop() {
      back.stop();
      base.stop();
    },
  };
}

function backButton(onclick, store) {
  const element = h('button', { class: 'lk-pill lk-back', type: 'button', onclick }, icon('back'), 'Back');
  const stop = store.watch(['away'], ({ away }) => (element.hidden = !away));
  return { element, stop };
}

function drawMap(L, map, motion, context) {
  const { store, data } = context;
  const { name, bounds } = data.collection;
  addPanes(map, 400, ['lk-heat', 'lk-grid', 'lk-query', 'lk-hits'], 10);
  const stopKeeping = keepView(map, `lookalike:view:${name}`, () =>
    bounds ? fit(map, bounds) : map.setView([0, 0], 2),
  );
  const drawing = createDrawing(map, context);
  addImagery(L, map, context, drawing);
  return {
    ...createZoom(map, store, motion),
    drawing,
    reveal: (row) => reveal(L, map, ring(store.state.footprints, row)),
    stops: [
      stopKeeping,
      drawing.end,
      drawHeatmap(L, map, context),
      drawGrid(L, map, context),
      drawCursor(L, map, store),
      drawFilter(L, map, store),
      drawQuery(L, map, store),
      drawHits(L, map, store),
      listenToPointer(map, context),
    ],
  };
}

function addImagery(L, map, context, drawing) {
  const { base, collection } = context.data;
  const overlays = {};
  for (const scene of collection.scenes) {
    overlays[asHtml(formatScene(scene))] = sceneLayer(L, base, collection, scene).addTo(map);
  }
  addTools(L, map, context, drawing);
  if (Object.keys(overlays).length > 1) {
    L.control.layers(null, overlays, { position: 'topleft' }).addTo(map);
  }
  addCredit(L, map, collection.scenes);
}

// Leaflet sets the names of layers as HTML.
const asHtml = (text) => h('span', {}, text).innerHTML;

function addTools(L, map, { store, actions, data }, drawing) {
  const button = (name, label, onclick) => iconButton(name, label, onclick, { class: null });
  const box = button('box', 'Draw a search box (X)', (event) => {
    // Pressed by key there is no pointer to draw with.
    if (event.detail) drawing.begin('box');
    else drawing.beginKeys();
  });
  const grid = button('grid', 'Chip grid', () => store.set({ grid: !store.state.grid }));
  const heat = button('heat', 'Similarity heatmap (H)', () => actions.toggle('heat'));
  const all = button('fit', 'Show the whole collection', () => fit(map, data.collection.bounds));
  store.watch(['drawing'], (state) =>
    box.setAttribute('aria-pressed', ['box', 'keys'].includes(state.drawing)),
  );
  store.watch(['grid'], (state) => grid.setAttribute('aria-pressed', state.grid));
  store.watch(['heat'], (state) => heat.setAttribute('aria-pressed', state.heat));
  addToolbar(L, map, {}, box, heat, grid, all);
}

// When the pane grows or shrinks at its upper or left edge, what is in sight stays where it is.
function keepGround(map) {
  const corner = () => map.getContainer().getBoundingClientRect();
  let before = corner();
  return () => {
    const now = corner();
    map.invalidateSize({ pan: false });
    const [x, y] = [now.left - before.left, now.top - before.top];
    before = now;
    if ((x || y) && Math.abs(x) + Math.abs(y) < 400) map.panBy([x, y], { animate: false });
  };
}

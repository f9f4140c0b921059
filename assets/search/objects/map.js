// The map of object search: the imagery, the objects, the window around the pointer, the score map.
import { addPanes, addToolbar, createBaseMap, fit, keepView } from '../../map/base_map.js';
import { addCredit, sceneLayer } from '../../map/scenes.js';
import { h, iconButton } from '../../shared/dom.js';
import { formatScene } from '../../shared/format.js';
import { createDrawing } from '../drawing.js';
import { drawFilter } from '../map_layers.js';
import { drawExamples, drawObjects, drawSelected, drawWindow, objectAt } from './layers.js';
import { drawScoreMap } from './score_map.js';

export function createObjectMap(context) {
  const { store, root, data } = context;
  let view = null;
  const base = createBaseMap(root.querySelector('.lk-map'), {
    basemap: data.basemap,
    options: { boxZoom: false, keyboard: false },
    draw(L, map) {
      view = drawMap(L, map, context);
      return view.stops;
    },
    fail: (problem) => store.set({ problem }),
  });
  return {
    leaflet: base.leaflet,
    reveal: (found) => view?.reveal(found),
    draw: (kind) => view?.drawing.begin(kind),
    stopDrawing: () => view?.drawing.stop(),
    // What is in view, for the filter.
    outline: () => view?.drawing.view(),
    stop: base.stop,
  };
}

function drawMap(L, map, context) {
  const { data, store, actions } = context;
  const { name, bounds, scenes } = data.collection;
  addPanes(map, 400, ['lk-scores', 'lk-objects', 'lk-query', 'lk-selected'], 10);
  const stopKeeping = keepView(map, `lookalike:view:${name}`, () =>
    bounds ? fit(map, bounds) : map.setView([0, 0], 2),
  );
  const overlays = {};
  for (const scene of scenes) {
    overlays[h('span', {}, formatScene(scene)).innerHTML] = sceneLayer(L, data.base, data.collection, scene).addTo(map);
  }
  const shift = followShift();
  const search = (start) => actions.search(start, shift.held());
  const drawing = createDrawing(map, { ...context, actions: { ...actions, search } });
  const tool = (icon, label, act) => iconButton(icon, label, act, { class: null });
  const box = tool('box', 'Draw a box around an object (X)', () => drawing.begin('box'));
  const outline = tool('polygon', 'Draw a polygon around an object (P)', () => drawing.begin('outline'));
  const scores = tool('heat', 'Score map (H)', () => actions.toggle('scoreMap'));
  const all = tool('fit', 'Show the whole collection', () => fit(map, bounds));
  addToolbar(L, map, {}, box, outline, scores, all);
  if (scenes.length > 1) L.control.layers(null, overlays, { position: 'topleft' }).addTo(map);
  addCredit(L, map, scenes);
  return {
    drawing,
    reveal: ({ lon, lat }) => {
      const place = L.latLng(lat, lon);
      if (!map.getBounds().pad(-0.1).contains(place)) map.panTo(place, { animate: false });
    },
    stops: [
      stopKeeping,
      drawing.end,
      shift.stop,
      store.watch(['drawing'], ({ drawing: kind }) => {
        box.setAttribute('aria-pressed', kind === 'box');
        outline.setAttribute('aria-pressed', kind === 'outline');
      }),
      drawFilter(L, map, store),
      store.watch(['scoreMap'], (state) => scores.setAttribute('aria-pressed', state.scoreMap)),
      drawScoreMap(L, map, context),
      drawObjects(L, map, context),
      drawExamples(L, map, context),
      drawSelected(L, map, context),
      drawWindow(L, map, context),
      listen(map, context),
    ],
  };
}

// Whether Shift was held when a button of the pointer was last released.
function followShift() {
  let held = false;
  const note = (event) => (held = event.shiftKey);
  addEventListener('pointerup', note, true);
  return { held: () => held, stop: () => removeEventListener('pointerup', note, true) };
}

function listen(map, { store, actions }) {
  const click = ({ latlng, originalEvent }) => {
    if (store.state.drawing) return undefined;
    document.activeElement?.blur(); // of a field, so that keys reach the map
    const index = originalEvent.shiftKey ? -1 : objectAt(store.state, latlng);
    if (index >= 0 && index !== store.state.selected) return actions.select(index);
    return actions.searchAt(latlng.lng, latlng.lat, originalEvent.shiftKey);
  };
  // With Alt the wheel sizes the window instead of zooming.
  const wheel = (event) => {
    if (!event.altKey) return;
    event.preventDefault();
    event.stopPropagation();
    actions.setSize(store.state.size * (event.deltaY < 0 ? 1.1 : 1 / 1.1));
  };
  const element = map.getContainer();
  map.on('click', click);
  element.addEventListener('wheel', wheel, { capture: true, passive: false });
  return () => {
    map.off('click', click);
    element.removeEventListener('wheel', wheel, { capture: true });
  };
}

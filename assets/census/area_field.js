// Where a census counts: the whole collection, an outline drawn on a map, or the polygons of a file.
import { addToolbar, createBaseMap, fit } from '../map/base_map.js';
import { DRAWN } from '../map/colours.js';
import { loadDraw, takeTouches } from '../map/leaflet.js';
import { sceneLayer } from '../map/scenes.js';
import { h, iconButton } from '../shared/dom.js';
import { plural } from '../shared/format.js';

const FILES = '.geojson,.json,.kml,.kmz,.gpkg,.zip';
const WAYS = [
  ['', 'Whole collection'],
  ['draw', 'Draw'],
  ['file', 'File'],
];

export function areaField({ data, collection, censuses, fail }) {
  const file = polygonsField(censuses, fail, 'Area');
  const place = h('div', { class: 'lk-area-map', hidden: true }, h('div', { class: 'lk-map', role: 'application', 'aria-label': 'Map' }));
  let map = null;
  let way = '';
  const radios = WAYS.map(([value, words]) => {
    const radio = h('input', { type: 'radio', name: 'census-area', value });
    radio.checked = value === way;
    radio.addEventListener('change', () => show(value));
    return h('label', {}, radio, h('span', {}, words));
  });

  function show(value) {
    way = value;
    file.element.hidden = way !== 'file';
    place.hidden = way !== 'draw';
    if (way === 'draw') map ??= drawingMap(place.firstChild, data, collection, fail);
  }

  show('');
  return {
    element: h('div', { class: 'lk-where' }, h('div', { class: 'lk-choice', role: 'radiogroup', 'aria-label': 'Area' }, ...radios), file.element, place),
    value: () => ({ '': null, draw: map?.value() ?? null, file: file.value() })[way],
    stop: () => map?.stop(),
  };
}

// A file of polygons, read by the server, which knows the formats; `value()` is GeoJSON or null.
export function polygonsField(censuses, fail, label) {
  const input = h('input', { type: 'file', accept: FILES, 'aria-label': `File of the ${label.toLowerCase()}` });
  const words = h('span', { class: 'lk-muted', role: 'status' });
  let read = null;
  input.addEventListener('change', async () => {
    const [file] = input.files;
    read = null;
    words.textContent = '';
    if (!file) return;
    try {
      read = await censuses.polygons(file);
      words.textContent = plural(read.features.length, 'polygon');
    } catch (refusal) {
      input.value = '';
      fail(refusal);
    }
  });
  return { element: h('div', { class: 'lk-row' }, input, words), value: () => read };
}

function drawingMap(element, data, collection, fail) {
  let drawn = null; // the layer of the outline
  const base = createBaseMap(element, {
    basemap: data.basemap,
    leaflet: loadDraw(),
    fail,
    draw(L, map) {
      takeTouches(L, map);
      fit(map, collection.bounds);
      for (const scene of collection.scenes) sceneLayer(L, data.base, collection, scene).addTo(map);
      let tool = null;
      const begin = (kind) => () => {
        tool?.disable();
        tool = new L.Draw[kind](map, { shapeOptions: DRAWN, showArea: false, metric: true });
        tool.enable();
      };
      const clear = () => {
        drawn?.remove();
        drawn = null;
      };
      map.on('draw:created', ({ layer }) => {
        clear();
        drawn = layer.addTo(map);
      });
      const button = (name, words, act) => iconButton(name, words, act, { class: null });
      addToolbar(
        L,
        map,
        { role: 'toolbar', 'aria-label': 'Draw the area' },
        button('rectangle', 'Draw a rectangle', begin('Rectangle')),
        button('polygon', 'Draw a polygon', begin('Polygon')),
        button('trash', 'Delete the area', clear),
      );
      return [() => tool?.disable()];
    },
  });
  return { value: () => drawn?.toGeoJSON().geometry ?? null, stop: base.stop };
}

// Where the units of a census lie: those judged with their counts, the others by what is expected.
import { createBaseMap, fit } from '../map/base_map.js';
import { CYAN, NIGHT } from '../map/colours.js';
import { addCredit, sceneLayer } from '../map/scenes.js';
import { h } from '../shared/dom.js';
import { formatCount, plural } from '../shared/format.js';

const MOST = 20_000; // units above which only those judged are drawn
const FOUND = '#facc15';
const UNKNOWN = '#fb923c';

export function createUnitsMap({ data, census, censuses, fail }) {
  const place = h('div', { class: 'lk-map', role: 'application', 'aria-label': 'Map of the units' });
  const legend = h('p', { class: 'lk-muted lk-legend' }, h('i', { class: 'lk-found' }), 'judged, some ', h('i', { class: 'lk-empty-unit' }), 'judged, none ', h('i', { class: 'lk-unknown-unit' }), 'cannot tell ', h('i', {}), 'not judged');
  const many = census.units > MOST;
  const base = createBaseMap(place, {
    basemap: data.basemap,
    fail,
    options: { preferCanvas: true, scrollWheelZoom: false },
    draw(L, map) {
      fit(map, census.bounds);
      Promise.all([censuses.collection(census.collection), censuses.units(census.id, many)]).then(([collection, units]) => {
        if (!base.leaflet()) return;
        const scenes = collection.scenes.filter(({ id }) => census.scenes.includes(id));
        for (const scene of scenes) sceneLayer(L, data.base, collection, scene).addTo(map);
        addCredit(L, map, scenes);
        L.geoJSON(units, { style: ({ properties }) => styleOf(properties), onEachFeature: label }).addTo(map);
      }).catch(fail);
      return [];
    },
  });
  return { element: h('div', { class: 'lk-units-map' }, place, legend), stop: base.stop };
}

export function styleOf({ judged, count, score }) {
  if (!judged) return { color: NIGHT, weight: 0.5, opacity: 0.5, fillColor: CYAN, fillOpacity: Math.min(0.3, 0.04 + score / 10) };
  if (count) return { color: FOUND, weight: 2, fillColor: FOUND, fillOpacity: 0.2 };
  if (count === null) return { color: UNKNOWN, weight: 2, dashArray: '4 4', fillColor: UNKNOWN, fillOpacity: 0.15 };
  return { color: NIGHT, weight: 2, opacity: 0.8, fillColor: NIGHT, fillOpacity: 0.45 };
}

export function wordsOf({ judged, count, score }) {
  if (!judged) return `Not judged; about ${formatCount(Math.round(10 * score) / 10)} expected`;
  return count === null ? 'Cannot tell' : plural(count, 'thing');
}

function label({ properties }, layer) {
  layer.bindTooltip(wordsOf(properties), { sticky: true });
}

// The map of changes: the picture of one of the two dates, and three layers of places on it.
import { rankBadge } from '../map/badge.js';
import { addPanes, createBaseMap, fit, gently } from '../map/base_map.js';
import { CYAN, NIGHT } from '../map/colours.js';
import { ring } from '../map/footprints.js';
import { addCredit, sceneLayer } from '../map/scenes.js';
import { h } from '../shared/dom.js';
import { KINDS } from './kinds.js';

export function createChangesMap({ root, data, store, actions }) {
  const element = root.querySelector('.lk-map');
  const choice = pictureChoice(store);
  element.parentElement.append(choice.element);
  const base = createBaseMap(element, {
    basemap: data.basemap,
    draw(L, map) {
      fit(map, data.collection.bounds);
      addCredit(L, map, data.collection.scenes);
      addPanes(map, 450, ['lk-asked']); // over the places, of which it may be one
      map.on('click', ({ latlng }) => actions.pick(latlng.lng, latlng.lat));
      element.classList.add('lk-clickable');
      return [
        drawScenes(L, map, data, store),
        drawQuery(L, map, store),
        ...Object.keys(KINDS).map((kind) => drawKind(L, map, store, kind)),
        drawSelected(L, map, store),
      ];
    },
    fail: (problem) => store.set({ problem }),
  });
  return {
    leaflet: base.leaflet,
    // Pans only when the place lies outside the view.
    reveal({ geometry }) {
      const map = base.leaflet();
      if (!map) return;
      const bounds = window.L.geoJSON(geometry).getBounds();
      if (!map.getBounds().contains(bounds)) map.panTo(bounds.getCenter(), gently());
    },
    stop() {
      choice.stop();
      base.stop();
    },
  };
}

// Which of the two days the map pictures.
function pictureChoice(store) {
  const element = h('div', { class: 'lk-days', role: 'group', 'aria-label': 'Date shown on the map' });
  const stop = store.watch(['before', 'after', 'pictured'], ({ before, after, pictured }) => {
    const button = (day) =>
      h(
        'button',
        {
          type: 'button',
          'aria-pressed': String(day === pictured),
          onclick: () => store.set({ pictured: day }),
        },
        day,
      );
    const had = element.contains(document.activeElement);
    element.replaceChildren(button(before), button(after));
    if (had) element.querySelector('[aria-pressed=true]').focus();
  });
  return {
    element,
    stop() {
      stop();
      element.remove();
    },
  };
}

// Both days' tiles stay loaded, so that going to and fro is a blink.
function drawScenes(L, map, { base, collection }, store) {
  const layers = new Map();
  return store.watch(['before', 'after', 'pictured'], ({ before, after, pictured }) => {
    for (const scene of collection.scenes) {
      const day = scene.datetime?.slice(0, 10);
      const wanted = day === before || day === after;
      if (wanted && !layers.has(scene.id)) {
        layers.set(scene.id, sceneLayer(L, base, collection, scene).addTo(map));
      }
      if (!wanted && layers.has(scene.id)) {
        layers.get(scene.id).remove();
        layers.delete(scene.id);
      }
      layers.get(scene.id)?.setOpacity(day === pictured ? 1 : 0);
    }
  });
}

function drawQuery(L, map, store) {
  const group = L.layerGroup().addTo(map);
  return store.watch(['query', 'footprints'], ({ query, footprints }) => {
    group.clearLayers();
    if (!footprints || !Number.isInteger(query?.row)) return;
    const corners = ring(footprints, query.row);
    const look = { interactive: false, fill: false, color: CYAN, weight: 2, pane: 'lk-asked' };
    group.addLayer(L.polygon(corners, look));
  });
}

function drawKind(L, map, store, kind) {
  const group = L.layerGroup().addTo(map);
  const { colour, dash } = KINDS[kind];
  return store.watch(['found', 'hidden'], ({ found, hidden }) => {
    group.clearLayers();
    if (!found || hidden.includes(kind)) return;
    for (const place of [...found[kind]].reverse()) {
      group.addLayer(shape(L, place, NIGHT, { weight: 6.5, opacity: 0.6, fillOpacity: 0 }));
      group.addLayer(shape(L, place, colour, { weight: 4, dashArray: dash, fillOpacity: 0.12 }));
      group.addLayer(badge(L, place, colour));
    }
  });
}

function drawSelected(L, map, store) {
  const group = L.layerGroup().addTo(map);
  return store.watch(['selected', 'found'], ({ selected, found }) => {
    group.clearLayers();
    const place = selected && found?.[selected.kind][selected.at];
    if (place) group.addLayer(shape(L, place, '#ffffff', { weight: 4, fillOpacity: 0 }));
  });
}

function shape(L, { geometry }, color, look) {
  return L.geoJSON(geometry, { interactive: false, style: { color, fillColor: color, ...look } });
}

function badge(L, { geometry, rank }, colour) {
  const [lon, lat] = geometry.coordinates[0][0];
  return rankBadge(L, [lat, lon], rank, colour, 1000 - rank);
}

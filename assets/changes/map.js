// The map of changes: the picture of one of the two dates, and three layers of places on it.
import { KINDS } from './kinds.js';
import { CYAN, NIGHT } from '../map/colours.js';
import { h } from '../shared/dom.js';
import { ring } from '../map/footprints.js';
import { followMap } from '../shared/idle.js';
import { loadLeaflet } from '../map/leaflet.js';
import { addCredit, box, sceneLayer } from '../search/map.js';

const STILL = matchMedia('(prefers-reduced-motion: reduce)');

export function createChangesMap({ root, data, store, actions }) {
  let [map, stopped, stops] = [null, false, []];
  const element = root.querySelector('.lk-map');
  const choice = pictureChoice(store);
  element.parentElement.append(choice.element);
  loadLeaflet().then(
    (L) => {
      if (!stopped) draw(L);
    },
    (error) =>
      store.set({ trouble: { title: 'The map library did not load', remedy: error.message } }),
  );

  function draw(L) {
    map = L.map(element, {
      attributionControl: false,
      zoomControl: false,
      zoomSnap: 0.5,
      doubleClickZoom: false,
      fadeAnimation: false,
      zoomAnimation: !STILL.matches,
      maxZoom: 22,
    });
    map.fitBounds(box(data.collection.bounds), { padding: [12, 12] });
    if (data.basemap) L.tileLayer(data.basemap, { maxZoom: 22, zIndex: 0 }).addTo(map);
    L.control.zoom({ position: 'topleft' }).addTo(map);
    L.control.scale({ imperial: false, position: 'bottomleft' }).addTo(map);
    addCredit(L, map, data.collection);
    const observer = new ResizeObserver(() => map.invalidateSize({ pan: false }));
    observer.observe(element);
    map.on('click', ({ latlng }) => actions.pick(latlng.lng, latlng.lat));
    element.classList.add('lk-clickable');
    const marked = L.layerGroup();
    const pane = map.createPane('lk-asked'); // over the places, of which it may be one
    [pane.style.zIndex, pane.style.pointerEvents] = [450, 'none'];
    stops = [
      followMap(map),
      () => observer.disconnect(),
      drawScenes(L, map, data, store),
      drawQuery(L, map, store),
      ...Object.keys(KINDS).map((kind) => drawKind(L, map, store, kind)),
      store.watch(['selected', 'found'], ({ selected, found }) => {
        marked.clearLayers();
        const place = selected && found?.[selected.kind][selected.at];
        if (place) marked.addLayer(shape(L, place, '#ffffff', { weight: 4, fillOpacity: 0 }));
      }),
    ];
    marked.addTo(map);
  }

  return {
    leaflet: () => map,
    // Pans only when the place lies outside the view.
    reveal({ geometry }) {
      if (!map) return;
      const bounds = window.L.geoJSON(geometry).getBounds();
      if (!map.getBounds().contains(bounds)) {
        map.panTo(bounds.getCenter(), { animate: !STILL.matches, duration: 0.2 });
      }
    },
    stop() {
      stopped = true;
      for (const stop of stops) stop();
      choice.stop();
      map?.remove();
    },
  };
}

// Which of the two days the map pictures.
function pictureChoice(store) {
  const element = h('div', { class: 'lk-days', role: 'group', 'aria-label': 'The map shows' });
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

function shape(L, { geometry }, color, look) {
  return L.geoJSON(geometry, { interactive: false, style: { color, fillColor: color, ...look } });
}

function badge(L, { geometry, rank }, colour) {
  const [lon, lat] = geometry.coordinates[0][0];
  const mark = h('span', { class: 'lk-rank' }, String(rank));
  mark.style.background = colour;
  return L.marker([lat, lon], {
    icon: L.divIcon({ className: 'lk-rank-place', html: mark, iconSize: [0, 0] }),
    interactive: false,
    keyboard: false,
    zIndexOffset: 1000 - rank,
  });
}

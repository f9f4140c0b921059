// The map: scenes, chip grid, query, ranked results.
import { chipAt, covered, gridLayer, ring } from './footprints.js';
import { h, icon, rankColour } from './dom.js';
import { loadLeaflet } from './leaflet.js';

const CYAN = '#22d3ee';
const DARK = '#0b1220';
const MANY = 150; // from here on results are drawn on a canvas, not as one element each
const BADGES = 60; // more results than this carry no rank badge until pointed at
const STILL = matchMedia('(prefers-reduced-motion: reduce)');

// Answers at once; what needs Leaflet happens when it has loaded.
export function createMap(context) {
  const { store, root } = context;
  let view = null;
  let stopped = false;
  const back = backButton(() => view?.back(), store);
  root.querySelector('.lk-map-pane').append(back.element);
  loadLeaflet().then(
    (L) => {
      if (!stopped) view = drawMap(L, context);
    },
    (error) =>
      store.set({ trouble: { title: 'The map library did not load', remedy: error.message } }),
  );
  return {
    centre: () => view?.map.getCenter() ?? { lng: 0, lat: 0 },
    zoomTo: (place) => view?.zoomTo(place),
    // Brings a chip into view, if it is not.
    reveal: (row) => view?.reveal(row),
    zoomOrBack: (place) => (store.state.away ? view?.back() : view?.zoomTo(place)),
    back: () => view?.back(),
    leaflet: () => view?.map,
    stop() {
      stopped = true;
      back.stop();
      view?.stop();
    },
  };
}

function backButton(onclick, store) {
  const element = h('button', { class: 'lk-back', type: 'button', onclick }, icon('back'), 'Back');
  const stop = store.watch(['away'], ({ away }) => (element.hidden = !away));
  return { element, stop };
}

function drawMap(L, context) {
  const { store, root, data } = context;
  const element = root.querySelector('.lk-map');
  const map = L.map(element, {
    attributionControl: false,
    zoomControl: false,
    zoomSnap: 0.5,
    doubleClickZoom: false,
    keyboard: false, // arrows step through results; see keyboard.js
    fadeAnimation: false,
    zoomAnimation: !STILL.matches,
    maxZoom: 22,
  });
  addPanes(map);
  const remembered = rememberView(map, data.collection);
  addLayers(L, map, context);
  const stops = [
    remembered,
    drawGrid(L, map, context),
    drawCursor(L, map, store),
    drawQuery(L, map, store),
    drawHits(L, map, store),
    listenToPointer(map, context),
    followSize(map, element),
  ];
  const zoom = zooming(map, store);
  return {
    map,
    ...zoom,
    reveal: (row) => reveal(L, map, ring(store.state.footprints, row)),
    stop() {
      for (const stop of stops) stop();
      map.remove();
    },
  };
}

function addPanes(map) {
  ['lk-grid', 'lk-query', 'lk-hits'].forEach((name, place) => {
    const pane = map.createPane(name);
    pane.style.zIndex = 410 + 10 * place;
    if (name !== 'lk-hits') pane.style.pointerEvents = 'none';
  });
}

// The view lives in the browser: panning costs the server nothing and survives page changes.
function rememberView(map, { name, bounds }) {
  const key = `lookalike:view:${name}`;
  const saved = JSON.parse(sessionStorage.getItem(key) || 'null');
  if (saved) map.setView(saved.centre, saved.zoom);
  else if (bounds) map.fitBounds(box(bounds), { padding: [12, 12] });
  else map.setView([0, 0], 2);
  const save = () =>
    sessionStorage.setItem(key, JSON.stringify({ centre: map.getCenter(), zoom: map.getZoom() }));
  map.on('moveend', save);
  return () => map.off('moveend', save);
}

const box = ([west, south, east, north]) => [
  [south, west],
  [north, east],
];

function addLayers(L, map, { data, store }) {
  const { collection, base, basemap } = data;
  if (basemap) L.tileLayer(basemap, { maxZoom: 22, zIndex: 0 }).addTo(map);
  const overlays = {};
  for (const scene of collection.scenes) {
    const layer = sceneLayer(L, base, collection, scene).addTo(map);
    overlays[label(scene)] = layer;
  }
  const names = Object.keys(overlays);
  L.control.zoom({ position: 'topleft' }).addTo(map);
  L.control.scale({ imperial: false, position: 'bottomleft' }).addTo(map);
  const fit = () => map.fitBounds(box(collection.bounds), { padding: [12, 12] });
  toolButtons(L, store, fit).addTo(map);
  if (names.length > 1) L.control.layers(null, overlays, { position: 'topleft' }).addTo(map);
  const credit = [...new Set(collection.scenes.map((scene) => scene.license).filter(Boolean))];
  if (credit.length) creditLine(L, credit.join(' · ')).addTo(map);
}

function label({ title, datetime }) {
  const safe = h('span', {}, title + (datetime ? ` · ${datetime.slice(0, 10)}` : ''));
  return safe.innerHTML; // Leaflet sets layer names as HTML
}

function sceneLayer(L, base, collection, scene) {
  // Concatenated, because new URL() would escape the braces.
  const root = `${location.origin}${base}/api/collections/${collection.name}/tiles/${scene.id}`;
  return L.tileLayer(`${root}/{z}/{x}/{y}.png?v=${collection.version}`, {
    bounds: box(scene.bounds),
    maxNativeZoom: nativeZoom(scene),
    maxZoom: 22,
    zIndex: 1,
  });
}

// The zoom at which a tile's pixel is no larger than the scene's.
function nativeZoom({ gsd, bounds }) {
  const latitude = (bounds[1] + bounds[3]) / 2;
  const metres = 156543.034 * Math.cos((latitude * Math.PI) / 180);
  return Math.max(0, Math.min(22, Math.ceil(Math.log2(metres / gsd))));
}

function toolButtons(L, store, fit) {
  const control = L.control({ position: 'topleft' });
  control.onAdd = () => {
    const grid = h(
      'button',
      {
        type: 'button',
        title: 'Chip grid on or off',
        'aria-label': 'Chip grid',
        onclick: () => store.set({ grid: !store.state.grid }),
      },
      icon('grid'),
    );
    store.watch(['grid'], (state) => grid.setAttribute('aria-pressed', state.grid));
    const all = h(
      'button',
      { type: 'button', title: 'Show everything', 'aria-label': 'Show everything', onclick: fit },
      icon('fit'),
    );
    const bar = h('div', { class: 'leaflet-bar lk-bar' }, grid, all);
    L.DomEvent.disableClickPropagation(bar);
    return bar;
  };
  return control;
}

function creditLine(L, text) {
  const control = L.control({ position: 'bottomright' });
  control.onAdd = () => h('div', { class: 'lk-credit', title: text }, text);
  return control;
}

function drawGrid(L, map, { store }) {
  let layer = null;
  return store.watch(['footprints', 'grid'], ({ footprints, grid }) => {
    layer?.remove();
    layer = footprints && grid ? gridLayer(L, footprints).addTo(map) : null;
  });
}

function outline(L, corners, colour, pane, { weight = 2.5, fill = 0.05, renderer } = {}) {
  const still = { pane, renderer, interactive: false, fill: false };
  return L.layerGroup([
    L.polygon(corners, { ...still, color: DARK, weight: weight + 2.5, opacity: 0.65 }),
    L.polygon(corners, { ...still, color: colour, weight, fill: true, fillOpacity: fill }),
  ]);
}

function drawCursor(L, map, store) {
  const group = L.layerGroup().addTo(map);
  return store.watch(['cursor', 'footprints'], ({ cursor, footprints }) => {
    group.clearLayers();
    if (cursor === null || !footprints) return;
    const corners = ring(footprints, cursor);
    group.addLayer(outline(L, corners, CYAN, 'lk-query', { weight: 1.5, fill: 0.12 }));
  });
}

function drawQuery(L, map, store) {
  const group = L.layerGroup().addTo(map);
  return store.watch(['query', 'footprints'], ({ query, footprints }) => {
    group.clearLayers();
    if (query?.row === undefined || query.row === null || !footprints) return;
    const corners = ring(footprints, query.row);
    group.addLayer(outline(L, corners, CYAN, 'lk-query', { weight: 3.5, fill: 0.1 }));
  });
}

function drawHits(L, map, store) {
  const all = L.layerGroup().addTo(map);
  const marked = L.layerGroup().addTo(map);
  const canvas = L.canvas({ pane: 'lk-hits' });
  const draw = ({ shown, footprints }) => {
    all.clearLayers();
    if (!footprints) return;
    const renderer = shown.length > MANY ? canvas : undefined;
    // Worst first, so that better results lie on top.
    for (const hit of [...shown].reverse()) {
      const colour = rankColour(hit.rank, shown.length);
      all.addLayer(outline(L, ring(footprints, hit.row), colour, 'lk-hits', { renderer }));
      if (shown.length <= BADGES) all.addLayer(badge(L, hit, colour, footprints));
    }
  };
  const emphasise = ({ selected, hovered, shown, footprints }) => {
    marked.clearLayers();
    if (!footprints) return;
    for (const place of new Set([hovered, selected])) {
      const hit = shown[place];
      if (!hit) continue;
      const corners = ring(footprints, hit.row);
      const weight = place === selected ? 4.5 : 3.5;
      marked.addLayer(outline(L, corners, '#ffffff', 'lk-hits', { weight, fill: 0 }));
      marked.addLayer(badge(L, hit, '#ffffff', footprints));
    }
  };
  const follow = ({ selected, shown, footprints }) => {
    if (shown[selected] && footprints) reveal(L, map, ring(footprints, shown[selected].row));
  };
  const stops = [
    store.watch(['shown', 'footprints'], draw),
    store.watch(['selected', 'hovered', 'shown', 'footprints'], emphasise),
    store.watch(['selected'], follow),
  ];
  return () => stops.forEach((stop) => stop());
}

function badge(L, { rank, row }, colour, footprints) {
  const mark = h('span', { class: 'lk-rank' }, String(rank));
  mark.style.background = colour;
  return L.marker(ring(footprints, row)[0], {
    icon: L.divIcon({ className: 'lk-rank-place', html: mark, iconSize: [0, 0] }),
    interactive: false,
    keyboard: false,
    zIndexOffset: colour === '#ffffff' ? 20_000 : 10_000 - rank,
  });
}

// Pans only when the chip lies outside the view: otherwise the map must not move.
function reveal(L, map, corners) {
  const bounds = L.latLngBounds(corners);
  if (map.getBounds().intersects(bounds)) return;
  map.panTo(bounds.getCenter(), { animate: !STILL.matches, duration: 0.2 });
}

function listenToPointer(map, { store, actions }) {
  const element = map.getContainer();
  const hitAt = ({ lat, lng }) => {
    const { shown, footprints } = store.state;
    if (!footprints || !shown.length) return -1;
    return shown.findIndex((hit) => covered(footprints, hit.row, lng, lat));
  };
  let queued = null;
  const look = () => {
    const { latlng } = queued;
    queued = null;
    const { footprints } = store.state;
    const hovered = hitAt(latlng);
    const row = footprints && hovered < 0 ? chipAt(footprints, latlng.lng, latlng.lat) : null;
    store.set({ hovered, cursor: row });
    element.classList.toggle('lk-clickable', hovered >= 0 || row !== null);
  };
  const onMove = (event) => {
    if (!queued) requestAnimationFrame(look);
    queued = event;
  };
  const onOut = () => store.set({ hovered: -1, cursor: null });
  const onClick = ({ latlng }) => {
    const place = hitAt(latlng);
    if (place < 0) return actions.searchAt(latlng.lng, latlng.lat);
    if (place === store.state.selected) return actions.searchHit(place);
    return actions.select(place);
  };
  map.on('mousemove', onMove).on('mouseout', onOut).on('click', onClick);
  return () => map.off('mousemove', onMove).off('mouseout', onOut).off('click', onClick);
}

// To a result and back to where one was.
function zooming(map, store) {
  const still = stillness(map);
  const animate = !STILL.matches;
  let before = null;
  return {
    zoomTo(place) {
      const { shown, footprints } = store.state;
      if (!shown[place] || !footprints) return;
      before ??= { centre: map.getCenter(), zoom: map.getZoom() };
      const { x, y } = map.getSize();
      const padding = [x / 5, y / 5];
      const corners = ring(footprints, shown[place].row);
      still(() => map.fitBounds(corners, { padding, animate, duration: 0.2 }));
      store.set({ selected: place, away: true });
    },
    back() {
      if (!before) return;
      const { centre, zoom } = before;
      before = null;
      still(() => map.setView(centre, zoom, { animate, duration: 0.2 }));
      store.set({ away: false });
    },
  };
}

// While a zoom is animated Leaflet ignores every other move: such a move waits for its end.
function stillness(map) {
  let moving = false;
  map.on('zoomstart', () => (moving = true));
  map.on('zoomend', () => (moving = false));
  return (move) => (moving ? map.once('zoomend', () => setTimeout(move)) : move());
}

function followSize(map, element) {
  const observer = new ResizeObserver(() => map.invalidateSize({ pan: false }));
  observer.observe(element);
  return () => observer.disconnect();
}

// The map: scenes, chip grid, query, ranked results.
import { CYAN, NIGHT } from '../map/colours.js';
import { h, icon, rankColour } from '../shared/dom.js';
import { createDrawing } from './drawing.js';
import { chipAt, covered, gridLayer, ring } from '../map/footprints.js';
import { drawHeat } from './heat.js';
import { followMap } from '../shared/idle.js';
import { loadLeaflet } from '../map/leaflet.js';

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
    draw: (kind) => view?.drawing.begin(kind),
    box: () => view?.drawing, // drawn by keys
    stopDrawing: () => view?.drawing.stop(),
    // What the map shows, as a polygon.
    outline: () => view?.drawing.view(),
    leaflet: () => view?.map,
    stop() {
      stopped = true;
      back.stop();
      view?.stop();
    },
  };
}

function backButton(onclick, store) {
  const element = h('button', { class: 'lk-pill lk-back', type: 'button', onclick }, icon('back'), 'Back');
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
    boxZoom: false, // Shift and a click add an example
    keyboard: false, // arrows step through results; see keyboard.js
    fadeAnimation: false,
    zoomAnimation: !STILL.matches,
    maxZoom: 22,
  });
  addPanes(map);
  const remembered = rememberView(map, data.collection);
  const drawing = createDrawing(map, context);
  addLayers(L, map, context, drawing);
  const stops = [
    remembered,
    drawing.end,
    drawHeat(L, map, context),
    drawGrid(L, map, context),
    drawCursor(L, map, store),
    drawFilter(L, map, store),
    drawQuery(L, map, store),
    drawHits(L, map, store),
    listenToPointer(map, context),
    followSize(map, element),
    followMap(map),
  ];
  const zoom = zooming(map, store);
  return {
    map,
    ...zoom,
    drawing,
    reveal: (row) => reveal(L, map, ring(store.state.footprints, row)),
    stop() {
      for (const stop of stops) stop();
      map.remove();
    },
  };
}

function addPanes(map) {
  ['lk-heat', 'lk-grid', 'lk-query', 'lk-hits'].forEach((name, place) => {
    const pane = map.createPane(name);
    pane.style.zIndex = 400 + 10 * place;
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

export const box = ([west, south, east, north]) => [
  [south, west],
  [north, east],
];

function addLayers(L, map, context, drawing) {
  const { data } = context;
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
  toolButtons(L, context, fit, drawing).addTo(map);
  if (names.length > 1) L.control.layers(null, overlays, { position: 'topleft' }).addTo(map);
  addCredit(L, map, collection);
}

function label({ title, datetime }) {
  const safe = h('span', {}, title + (datetime ? ` · ${datetime.slice(0, 10)}` : ''));
  return safe.innerHTML; // Leaflet sets layer names as HTML
}

export function sceneLayer(L, base, collection, scene) {
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

function toolButtons(L, { store, actions }, fit, drawing) {
  const control = L.control({ position: 'topleft' });
  const button = (name, title, onclick) =>
    h('button', { type: 'button', title, 'aria-label': title, onclick }, icon(name));
  control.onAdd = () => {
    const box = button('box', 'Search by a box: draw it (X)', (event) => {
      // Pressed by key there is no pointer to draw with.
      if (event.detail) drawing.begin('box');
      else drawing.beginKeys();
    });
    const grid = button('grid', 'Chip grid', () => store.set({ grid: !store.state.grid }));
    const heat = button('heat', 'Similarity heatmap (H)', () => actions.toggle('heat'));
    const all = button('fit', 'Show everything', fit);
    store.watch(['drawing'], (state) =>
      box.setAttribute('aria-pressed', ['box', 'keys'].includes(state.drawing)),
    );
    store.watch(['grid'], (state) => grid.setAttribute('aria-pressed', state.grid));
    store.watch(['heat'], (state) => heat.setAttribute('aria-pressed', state.heat));
    const bar = h('div', { class: 'leaflet-bar lk-bar' }, box, heat, grid, all);
    L.DomEvent.disableClickPropagation(bar);
    return bar;
  };
  return control;
}

// Licence and credit of scenes, where they have one; returns what to call when others are shown.
export function addCredit(L, map, { scenes }) {
  const line = h('div', { class: 'lk-credit' });
  const control = L.control({ position: 'bottomright' });
  control.onAdd = () => line;
  control.addTo(map);
  const show = (shown) => {
    const text = [...new Set(shown.map(({ license }) => license).filter(Boolean))].join(' · ');
    line.hidden = !text;
    line.title = line.textContent = text;
  };
  show(scenes);
  return show;
}

function drawGrid(L, map, { store }) {
  let layer = null;
  return store.watch(['footprints', 'grid'], ({ footprints, grid }) => {
    layer?.remove();
    layer = footprints && grid ? gridLayer(L, footprints).addTo(map) : null;
  });
}

function outline(L, corners, colour, pane, { weight = 2.5, fill = 0.05, renderer, dash = null } = {}) {
  const still = { pane, renderer, interactive: false, fill: false };
  return L.layerGroup([
    L.polygon(corners, { ...still, color: NIGHT, weight: weight + 2.5, opacity: 0.65 }),
    L.polygon(corners, {
      ...still,
      color: colour,
      weight,
      fill: true,
      fillOpacity: fill,
      dashArray: dash,
    }),
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

// The polygon that results must lie in.
function drawFilter(L, map, store) {
  const group = L.layerGroup().addTo(map);
  return store.watch(['filters'], ({ filters }) => {
    group.clearLayers();
    if (!filters.within) return;
    const still = { pane: 'lk-query', interactive: false };
    const style = { fill: false, lineJoin: 'round' };
    const dark = { ...style, color: NIGHT, weight: 5, opacity: 0.65 };
    const light = { ...style, color: '#f8fafc', weight: 2, dashArray: '7 5' };
    for (const one of [dark, light]) {
      group.addLayer(L.geoJSON(filters.within, { ...still, style: one }));
    }
  });
}

// The chip or box that was asked for, and the examples beside it.
function drawQuery(L, map, store) {
  const group = L.layerGroup().addTo(map);
  const add = (corners, colour, look) => group.addLayer(outline(L, corners, colour, 'lk-query', look));
  const draw = ({ query, footprints, good, bad, examples }) => {
    group.clearLayers();
    if (!query || !footprints) return;
    for (const [ids, colour] of [
      [bad, '#e2e8f0'],
      [good, CYAN],
    ]) {
      for (const row of ids.map((id) => examples.get(id)?.row).filter(Number.isInteger)) {
        add(ring(footprints, row), colour, { weight: 2.5, fill: 0.06, dash: '5 4' });
      }
    }
    const look = { weight: 3.5, fill: 0.1 };
    if (Number.isInteger(query.row)) add(ring(footprints, query.row), CYAN, look);
    else if (query.box) add(frame(query), CYAN, look);
  };
  return store.watch(['query', 'footprints', 'good', 'bad', 'examples'], draw);
}

function frame({ corners, box: [west, south, east, north] }) {
  if (corners) return corners.map(([lon, lat]) => [lat, lon]);
  return [
    [north, west],
    [north, east],
    [south, east],
    [south, west],
  ];
}

function drawHits(L, map, store) {
  const all = L.layerGroup().addTo(map);
  const marked = L.layerGroup().addTo(map);
  const canvas = L.canvas({ pane: 'lk-hits' });
  const draw = ({ shown, footprints, marks }) => {
    all.clearLayers();
    if (!footprints) return;
    const renderer = shown.length > MANY ? canvas : undefined;
    // Worst first, so that better results lie on top.
    for (const hit of [...shown].reverse()) {
      const colour = rankColour(hit.rank, shown.length);
      const dash = marks[hit.id] === 'bad' ? '3 6' : null;
      const look = { renderer, dash };
      all.addLayer(outline(L, shapeOf(hit, footprints), colour, 'lk-hits', look));
      if (shown.length <= BADGES) all.addLayer(badge(L, hit, colour, footprints, marks[hit.id]));
    }
  };
  const emphasise = ({ selected, hovered, shown, footprints, marks }) => {
    marked.clearLayers();
    if (!footprints) return;
    for (const place of new Set([hovered, selected])) {
      const hit = shown[place];
      if (!hit) continue;
      const weight = place === selected ? 4.5 : 3.5;
      const look = { weight, fill: 0 };
      marked.addLayer(outline(L, shapeOf(hit, footprints), '#ffffff', 'lk-hits', look));
      marked.addLayer(badge(L, hit, '#ffffff', footprints, marks[hit.id]));
    }
  };
  const follow = ({ selected, shown, footprints }) => {
    if (shown[selected] && footprints) reveal(L, map, ring(footprints, shown[selected].row));
  };
  const stops = [
    store.watch(['shown', 'footprints', 'marks'], draw),
    store.watch(['selected', 'hovered', 'shown', 'footprints', 'marks'], emphasise),
    store.watch(['selected'], follow),
  ];
  return () => stops.forEach((stop) => stop());
}

// A hit's footprint, or the one outline of a site's overlapping hits.
function shapeOf({ row, outline: site }, footprints) {
  if (!site) return ring(footprints, row);
  const polygons = site.type === 'MultiPolygon' ? site.coordinates : [site.coordinates];
  return polygons.map((rings) => rings.map((line) => line.map(([lon, lat]) => [lat, lon])));
}

function badge(L, { rank, row, count }, colour, footprints, verdict) {
  const mark = h('span', { class: 'lk-rank' }, String(rank));
  if (count > 1) mark.append(h('span', { class: 'lk-times' }, `×${count}`));
  if (verdict) mark.append(icon(verdict));
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
    const under = (row) => covered(footprints, row, lng, lat);
    return shown.findIndex((hit) => (hit.rows ? hit.rows.some(under) : under(hit.row)));
  };
  let queued = null;
  const look = () => {
    const { latlng } = queued;
    queued = null;
    const { footprints, drawing } = store.state;
    if (drawing) return;
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
  const onClick = ({ latlng, originalEvent }) => {
    if (store.state.drawing) return undefined;
    if (originalEvent.shiftKey) return actions.exampleAt(latlng.lng, latlng.lat);
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
  let before = null; // where one was, once the map has left it
  return {
    zoomTo(place) {
      const { shown, footprints } = store.state;
      if (!shown[place] || !footprints) return;
      const corners = ring(footprints, shown[place].row);
      store.set({ selected: place, away: true });
      still(() => {
        before ??= { centre: map.getCenter(), zoom: map.getZoom() };
        const { x, y } = map.getSize();
        map.fitBounds(corners, { padding: [x / 5, y / 5], animate, duration: 0.2 });
      });
    },
    back() {
      if (!store.state.away) return;
      still(() => {
        const { centre, zoom } = before;
        before = null;
        map.setView(centre, zoom, { animate, duration: 0.2 });
      });
      store.set({ away: false });
    },
  };
}

// Moves one after the other: Leaflet begins a zoom a frame after it is asked for one, and while it
// animates a zoom it ignores every other move.
function stillness(map) {
  const waiting = [];
  let asked = false;
  let zooming = false;
  const next = () => {
    if (asked || zooming || !waiting.length) return;
    asked = true;
    waiting.shift()();
    requestAnimationFrame(() => {
      asked = false;
      next();
    });
  };
  map.on('zoomstart', () => (zooming = true));
  map.on('zoomend', () => (zooming = false));
  map.on('moveend', next);
  map.on('unload', () => (waiting.length = 0));
  return (move) => {
    waiting.push(move);
    next();
  };
}

// When the pane grows or shrinks at its upper or left edge, what is in sight stays where it is.
function followSize(map, element) {
  const corner = () => element.getBoundingClientRect();
  let before = corner();
  const observer = new ResizeObserver(() => {
    const now = corner();
    map.invalidateSize({ pan: false });
    const [x, y] = [now.left - before.left, now.top - before.top];
    before = now;
    if ((x || y) && Math.abs(x) + Math.abs(y) < 400) map.panBy([x, y], { animate: false });
  });
  observer.observe(element);
  return () => observer.disconnect();
}

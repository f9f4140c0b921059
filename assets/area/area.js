// The Area page's map: draw, edit and delete an outline over the imagery it is meant for.
import { LINE } from '../map/colours.js';
import { h, icon } from '../shared/dom.js';
import { keepDraft, keepShape } from './draft.js';
import { FINGERS, HOW } from '../search/drawing.js';
import { graticule } from './graticule.js';
import { beginWork, expose, followMap } from '../shared/idle.js';
import { loadDraw } from '../map/leaflet.js';
import { addCredit, box } from '../search/map.js';
import { createTelling } from './messages.js';

const AMBER = '#f59e0b';
const VIEW = 'lookalike:view:area';
const EDITABLE = 120; // an outline with more corners than this is shown without handles

const views = new WeakMap();

// Called at first and on every rerun; returns what to do when the element goes away.
export function mount({ data, parentElement, setTriggerValue }) {
  const root = parentElement.querySelector('.lk-area');
  if (!views.has(root)) views.set(root, start(root, createTelling(setTriggerValue, data)));
  const view = views.get(root);
  view.update(data);
  return view.stop;
}

function start(root, telling) {
  const { tell } = telling;
  let map = null;
  let latest = null;
  let stopped = false;
  // A map begun in a box without size shows another place than it is told.
  const drawn = beginWork('the map'); // which a page left at once never draws
  expose({});
  Promise.all([loadDraw(), sized(root.querySelector('.lk-map'))])
    .then(
      ([L]) => {
        if (stopped) return;
        map = drawMap(L, root, tell, latest);
        map.update(latest);
        root.dataset.state = 'live';
        expose({ map, outline: map.outline });
      },
      (error) => root.append(h('p', { class: 'lk-area-trouble', role: 'alert' }, error.message)),
    )
    .finally(drawn);
  return {
    update(data) {
      telling.hear(data.heard);
      keepDraft(data, telling);
      latest = data;
      map?.update(data);
    },
    stop() {
      stopped = true;
      root.dataset.state = 'loading';
      views.delete(root);
      drawn();
      telling.end();
      map?.stop();
    },
  };
}

function sized(element) {
  return new Promise((settled) => {
    const observer = new ResizeObserver(() => {
      if (element.clientHeight < 100 || element.clientWidth < 100) return;
      observer.disconnect();
      settled();
    });
    observer.observe(element);
  });
}

function drawMap(L, root, tell, first) {
  const element = root.querySelector('.lk-map');
  const map = L.map(element, {
    attributionControl: false,
    zoomControl: false,
    zoomSnap: 0.5,
    doubleClickZoom: false,
    fadeAnimation: false,
    maxZoom: 22,
    minZoom: 1,
    worldCopyJump: true,
  });
  ['lk-outlines', 'lk-missing'].forEach((name, place) => {
    const pane = map.createPane(name);
    pane.style.zIndex = 405 + place;
    pane.style.pointerEvents = 'none';
  });
  startView(map, first.fit);
  if (first.basemap) L.tileLayer(first.basemap, { maxZoom: 22, zIndex: 0 }).addTo(map);
  L.control.zoom({ position: 'topleft' }).addTo(map);
  L.control.scale({ imperial: false, position: 'bottomleft' }).addTo(map);
  const grid = graticule(L, map);
  const label = h('output', { class: 'lk-pill lk-area-size', 'aria-live': 'polite' });
  element.parentElement.append(label);
  const outline = createOutline(L, map, label, (geometry) => {
    keepShape(geometry);
    tell('drawn', { geometry });
  });
  tools(L, map, outline).addTo(map);
  const imagery = imageryLayers(L, map);
  const credit = addCredit(L, map, { scenes: [] });
  const observer = new ResizeObserver(() => map.invalidateSize({ animate: false }));
  observer.observe(element);
  const unfollow = followMap(map);
  return {
    leaflet: () => map,
    outline,
    update(data) {
      imagery(data);
      credit(data.imagery.filter((one) => one.chosen));
      outline.show(data);
    },
    stop() {
      unfollow();
      observer.disconnect();
      outline.stop();
      grid();
      map.remove();
    },
  };
}

function startView(map, fit) {
  const saved = JSON.parse(sessionStorage.getItem(VIEW) || 'null');
  if (saved) map.setView(saved.centre, saved.zoom);
  else if (fit) map.fitBounds(box(fit.bounds), { padding: [24, 24] });
  else map.setView([20, 0], 2);
  map.on('moveend', () => {
    const view = { centre: map.getCenter(), zoom: map.getZoom() };
    sessionStorage.setItem(VIEW, JSON.stringify(view));
  });
}

// Imagery under the outline, the outlines of scenes, and what of the area they leave bare.
function imageryLayers(L, map) {
  const tiles = new Map();
  const outlines = L.layerGroup().addTo(map);
  const bare = L.layerGroup().addTo(map);
  let fitted = sessionStorage.getItem(`${VIEW}:fit`);
  const tile = ({ tiles: url, bounds, native }) =>
    // Ours by their path; a service's preview by its whole address.
    L.tileLayer(url.startsWith('/') ? location.origin + url : url, {
      bounds: box(bounds),
      maxNativeZoom: native,
      maxZoom: 22,
      zIndex: 1,
    });
  return ({ imagery, preview, missing, fit }) => {
    const pictured = [preview, ...imagery].filter((one) => one?.tiles);
    const wanted = new Map(pictured.map((one) => [one.tiles, one]));
    for (const [url, one] of wanted) {
      if (!tiles.has(url)) tiles.set(url, tile(one).addTo(map));
    }
    for (const [url, layer] of tiles) {
      if (wanted.has(url)) continue;
      tiles.delete(url);
      // The picture before stays until the one that takes its place is there.
      setTimeout(() => layer.remove(), wanted.size ? 400 : 0);
    }
    outlines.clearLayers();
    for (const { footprint, chosen } of imagery) {
      const style = { color: '#e2e8f0', weight: 1, opacity: chosen ? 0.8 : 0.35, fill: false };
      const options = { style: { ...style, dashArray: chosen ? null : '4 4' }, pane: 'lk-outlines' };
      outlines.addLayer(L.geoJSON(footprint, { ...options, interactive: false }));
    }
    bare.clearLayers();
    if (missing) {
      const style = { color: AMBER, weight: 1, fillColor: AMBER, fillOpacity: 0.35 };
      bare.addLayer(L.geoJSON(missing, { style, pane: 'lk-missing', interactive: false }));
    }
    if (fit && fit.stamp !== fitted) {
      fitted = fit.stamp;
      sessionStorage.setItem(`${VIEW}:fit`, fitted);
      map.fitBounds(box(fit.bounds), { padding: [24, 24], animate: false });
    }
  };
}

// The one outline: drawn here, or sent by the page; always ready to be edited.
function createOutline(L, map, label, changed) {
  const group = L.featureGroup().addTo(map);
  let stamp = null;
  let tool = null;

  const report = () => {
    const layer = group.getLayers()[0];
    changed(layer ? joined(group.toGeoJSON()) : null);
    measure();
  };
  const measure = (shape = group) => {
    const size = shape ? kilometres(L, shape) : 0;
    label.textContent = size ? inWords(size) : '';
    label.hidden = !size;
  };
  const put = (layer) => {
    group.addLayer(layer);
    if (corners(layer) <= EDITABLE) layer.editing?.enable();
    layer.on('edit', report);
  };
  const clear = () => {
    group.eachLayer((layer) => layer.editing?.disable());
    group.clearLayers();
  };
  const stopTool = () => {
    tool?.disable();
    tool = null;
    map.getContainer().classList.remove('lk-drawing');
  };
  const draw = (kind) => {
    stopTool();
    const options = { shapeOptions: LINE, showArea: false, metric: true, allowIntersection: true };
    tool = new L.Draw[kind](map, options);
    tool.enable();
    map.getContainer().classList.add('lk-drawing');
    map.getContainer().focus();
    if (FINGERS.matches) {
      label.textContent = HOW[kind];
      label.hidden = false;
    }
  };

  map.on('draw:created', ({ layer }) => {
    stopTool();
    clear();
    put(layer);
    report();
  });
  map.on('draw:drawstop', () => {
    map.getContainer().classList.remove('lk-drawing');
    measure();
  });
  map.on('draw:editvertex draw:editresize draw:editmove', () => measure());
  const onMove = () => {
    // Leaflet.draw keeps the rectangle in the making here.
    if (tool?._shape?.getBounds?.().isValid()) measure(tool._shape);
  };
  map.on('mousemove', onMove);

  return {
    draw,
    // The rectangle that the map shows, a little inside its edge.
    takeView() {
      stopTool();
      clear();
      put(L.rectangle(map.getBounds().pad(-0.12), LINE));
      report();
    },
    remove() {
      stopTool();
      clear();
      report();
    },
    isEmpty: () => !group.getLayers().length,
    geometry: () => (group.getLayers().length ? joined(group.toGeoJSON()) : null),
    show({ shape, shape_stamp: now, size }) {
      if (now !== stamp) {
        stamp = now;
        clear();
        if (shape) parts(L, shape).forEach(put);
        measure();
      }
      if (size && !tool) label.textContent = size;
    },
    stop: () => stopTool(),
  };
}

function tools(L, map, outline) {
  const control = L.control({ position: 'topleft' });
  const button = (name, title, onclick) =>
    h('button', { type: 'button', title, 'aria-label': title, onclick }, icon(name));
  control.onAdd = () => {
    const bar = h(
      'div',
      { class: 'leaflet-bar lk-bar', role: 'toolbar', 'aria-label': 'Draw the area' },
      button('rectangle', 'Draw a rectangle', () => outline.draw('Rectangle')),
      button('polygon', 'Draw a polygon', () => outline.draw('Polygon')),
      button('view', 'Take what the map shows', () => outline.takeView()),
      button('trash', 'Delete the area', () => outline.remove()),
    );
    L.DomEvent.disableClickPropagation(bar);
    return bar;
  };
  return control;
}

// A shape as layers that can be edited: a rectangle as one, each part of a multipolygon by itself.
function parts(L, shape) {
  const rings = shape.type === 'MultiPolygon' ? shape.coordinates : [shape.coordinates];
  return rings.map((polygon) => {
    const turned = polygon.map((ring) => ring.slice(0, -1).map(([lon, lat]) => [lat, lon]));
    const [outer] = turned;
    if (turned.length === 1 && isBox(outer)) return L.rectangle(outer, LINE);
    return L.polygon(turned, LINE);
  });
}

function isBox(ring) {
  if (ring.length !== 4) return false;
  const [lats, lons] = [0, 1].map((axis) => new Set(ring.map((corner) => corner[axis])));
  return lats.size === 2 && lons.size === 2;
}

function corners(layer) {
  return layer.getLatLngs().flat(Infinity).length;
}

function joined({ features }) {
  if (features.length === 1) return features[0].geometry;
  return { type: 'MultiPolygon', coordinates: features.map((one) => one.geometry.coordinates) };
}

// The sphere of leaflet-draw has the equator's radius; this one has the Earth's surface.
const SURFACE = (6371007.2 / 6378137) ** 2;

// km² on a sphere, near enough while the hand moves; the page then says it on the ellipsoid.
function kilometres(L, shape) {
  if (shape.eachLayer) {
    let total = 0;
    shape.eachLayer((layer) => (total += kilometres(L, layer)));
    return total;
  }
  const rings = shape.getLatLngs();
  const [outer, ...holes] = Array.isArray(rings[0]) ? rings : [rings];
  const size = (ring) => (L.GeometryUtil.geodesicArea(ring) * SURFACE) / 1e6;
  return holes.reduce((left, hole) => left - size(hole), size(outer));
}

function inWords(size) {
  const digits = size < 10 ? 2 : size < 100 ? 1 : 0;
  const [whole, rest] = size.toFixed(digits).split('.');
  const spaced = whole.replace(/\B(?=(\d{3})+$)/g, '\u2009');
  return `${spaced}${rest ? `.${rest}` : ''} km²`;
}

// What every map has: its options, the basemap, a scale, the view that is kept, and its size.
import { h } from '../shared/dom.js';
import { followMap } from '../shared/idle.js';
import { stopAll } from '../shared/stops.js';
import { loadLeaflet } from './leaflet.js';

export const MAX_ZOOM = 22;
const STILL = matchMedia('(prefers-reduced-motion: reduce)');
const OPTIONS = {
  attributionControl: false, // see addCredit
  zoomControl: false,
  zoomSnap: 0.5,
  doubleClickZoom: false,
  fadeAnimation: false,
  maxZoom: MAX_ZOOM,
};

// Returns at once.  When Leaflet is there, `draw(L, map, motion)` puts on the map what the page shows and
// returns what to call at the end; `fail(problem)` is called if Leaflet fails to load.  What
// `followSize(map)` returns is called whenever the map's box has another size.
export function createBaseMap(
  element,
  { basemap, draw, fail, options = {}, leaflet = loadLeaflet(), followSize = keepCorner },
) {
  let map = null;
  let stops = [];
  let stopped = false;

  function begin(L) {
    if (stopped) return;
    map = L.map(element, { ...OPTIONS, zoomAnimation: !STILL.matches, ...options });
    if (basemap) L.tileLayer(basemap, { maxZoom: MAX_ZOOM, zIndex: 0 }).addTo(map);
    L.control.zoom({ position: 'topleft' }).addTo(map);
    L.control.scale({ imperial: false, position: 'bottomleft' }).addTo(map);
    const motion = followMap(map);
    stops = [...draw(L, map, motion), motion.stop];
    const observer = new ResizeObserver(followSize(map));
    stops.push(() => observer.disconnect());
    observer.observe(element);
  }

  const drawn = leaflet.then(begin, (error) =>
    fail({ title: 'The map library failed to load', remedy: error.message }),
  );
  return {
    drawn, // resolves when all that is on it, or why it is not there
    leaflet: () => map,
    stop() {
      stopped = true;
      stopAll(stops);
      map?.remove();
    },
  };
}

// The upper left corner stays where it is.
const keepCorner = (map) => () => map.invalidateSize({ pan: false });

// How the map moves by itself: without animation if the user prefers reduced motion.
export const gently = () => ({ animate: !STILL.matches, duration: 0.2 });

export const cornersOf = ([west, south, east, north]) => [
  [south, west],
  [north, east],
];

export const fit = (map, bounds, padding = 12, options = {}) =>
  map.fitBounds(cornersOf(bounds), { padding: [padding, padding], ...options });

// The view lives in the browser: panning costs the server nothing and survives page changes.
// `begin` shows the first one; returns how to stop.
export function keepView(map, key, begin) {
  const saved = JSON.parse(sessionStorage.getItem(key) || 'null');
  if (saved) map.setView(saved.centre, saved.zoom);
  else begin();
  const save = () =>
    sessionStorage.setItem(key, JSON.stringify({ centre: map.getCenter(), zoom: map.getZoom() }));
  map.on('moveend', save);
  return () => map.off('moveend', save);
}

// Panes above the imagery, from the lowest to the highest.
export function addPanes(map, lowest, names, step = 1) {
  names.forEach((name, k) => {
    const pane = map.createPane(name);
    pane.style.zIndex = lowest + k * step;
    pane.style.pointerEvents = 'none';
  });
}

// A bar of buttons at the map's left edge.
export function addToolbar(L, map, attributes, ...buttons) {
  const control = L.control({ position: 'topleft' });
  control.onAdd = () => {
    const bar = h('div', { class: 'leaflet-bar lk-bar', ...attributes }, ...buttons);
    L.DomEvent.disableClickPropagation(bar);
    return bar;
  };
  control.addTo(map);
}

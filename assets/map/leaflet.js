// Leaflet and leaflet-draw, loaded once a page. Both are classic scripts; leaflet-draw even breaks
// in a module.
import { h } from '../shared/dom.js';
import { during } from '../shared/idle.js';

let loading;
let drawing;

export function loadLeaflet() {
  loading ??= Promise.all([stylesheet('leaflet/leaflet.css'), script('leaflet/leaflet.js')]).then(
    () => window.L,
  );
  return loading;
}

// Leaflet with its drawing tools.
export function loadDraw() {
  drawing ??= loadLeaflet().then((L) =>
    Promise.all([
      stylesheet('leaflet-draw/leaflet.draw.css'),
      script('leaflet-draw/leaflet.draw.js'),
    ]).then(() => takeClicksOnly(L)),
  );
  return drawing;
}

// leaflet-draw takes the touch for a corner, and then the click that the browser makes of it, which
// adds a second one or, after the last, is taken for a search.  Clicks are enough.
function takeClicksOnly(L) {
  const { prototype } = L.Draw.Polyline;
  prototype._onTouch = () => {};
  // It ignores corners for 50 ms after each, because of those second ones; there are none now.
  prototype._disableNewMarkers = () => {};
  return L;
}

// leaflet-draw passes touches on to maps made after it was loaded, and to this one from now on.
export function takeTouches(L, map) {
  if (!map.touchExtend) map.addHandler('touchExtend', L.Map.TouchExtend);
}

const vendored = (file) => new URL(`../vendor/${file}`, import.meta.url).href;

function script(file) {
  return appendToHead(h('script', { src: vendored(file) }), file);
}

function stylesheet(file) {
  return appendToHead(h('link', { rel: 'stylesheet', href: vendored(file) }), file);
}

function appendToHead(element, file) {
  const loaded = new Promise((resolve, reject) => {
    element.onload = resolve;
    element.onerror = () => reject(new Error(`${file} is missing: run make setup`));
    document.head.append(element);
  });
  return during(file, loaded);
}

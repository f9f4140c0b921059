// Leaflet, loaded once a page. Its build is a classic script; leaflet-draw even breaks in a module.
import { h } from './dom.js';

let loading;

export function loadLeaflet() {
  loading ??= Promise.all([stylesheet('leaflet/leaflet.css'), script('leaflet/leaflet.js')]).then(
    () => window.L,
  );
  return loading;
}

const vendored = (file) => new URL(`vendor/${file}`, import.meta.url).href;

function script(file) {
  return added(h('script', { src: vendored(file) }), file);
}

function stylesheet(file) {
  return added(h('link', { rel: 'stylesheet', href: vendored(file) }), file);
}

function added(element, file) {
  return new Promise((loaded, failed) => {
    element.onload = loaded;
    element.onerror = () => failed(new Error(`${file} is missing: run make setup`));
    document.head.append(element);
  });
}

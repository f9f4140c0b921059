// The imagery of scenes on a map, and whom it is by.
import { h } from '../shared/dom.js';
import { cornersOf, MAX_ZOOM } from './base_map.js';

export function sceneLayer(L, base, collection, scene) {
  // Concatenated, because new URL() would escape the braces.
  const root = `${location.origin}${base}/api/collections/${collection.name}/tiles/${scene.id}`;
  const tiles = `${root}/{z}/{x}/{y}.png?v=${collection.version}`;
  return imageryLayer(L, tiles, scene.bounds, nativeZoom(scene));
}

// Tiles over the basemap; beyond their native zoom they are enlarged.
export const imageryLayer = (L, tiles, bounds, maxNativeZoom) =>
  L.tileLayer(tiles, { bounds: cornersOf(bounds), maxNativeZoom, maxZoom: MAX_ZOOM, zIndex: 1 });

// The zoom at which a tile's pixel is no larger than the scene's.
function nativeZoom({ gsd, bounds }) {
  const latitude = (bounds[1] + bounds[3]) / 2;
  const metres = 156543.034 * Math.cos((latitude * Math.PI) / 180); // a pixel of zoom 0 on the ground
  return Math.max(0, Math.min(MAX_ZOOM, Math.ceil(Math.log2(metres / gsd))));
}

// Licence and credit of scenes, where they have one; returns what to call when others are shown.
export function addCredit(L, map, scenes) {
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

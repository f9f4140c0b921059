// What lies on the Area page's map: the outline, and the imagery it is meant for.
import { addPanes, addToolbar, fit, keepView } from '../map/base_map.js';
import { addCredit, imageryLayer } from '../map/scenes.js';
import { h, iconButton } from '../shared/dom.js';
import { later } from '../shared/idle.js';
import { graticule } from './graticule.js';
import { createOutline } from './outline.js';

const AMBER = '#f59e0b';
const VIEW = 'lookalike:view:area';
const PADDING = 24; // pixels round what the map is led to

// `changed` is called with each geometry that a person draws; returns { outline, update, stops }.
export function drawArea(L, map, first, changed) {
  addPanes(map, 405, ['lk-outlines', 'lk-missing']);
  const stopKeeping = keepView(map, VIEW, () =>
    first.fit ? fit(map, first.fit.bounds, PADDING) : map.setView([20, 0], 2),
  );
  const stopLines = graticule(L, map);
  const label = h('output', { class: 'lk-pill lk-area-size', 'aria-live': 'polite' });
  map.getContainer().parentElement.append(label);
  const outline = createOutline(L, map, label, changed);
  addTools(L, map, outline);
  const showImagery = imageryLayers(L, map);
  const showCredit = addCredit(L, map, []);
  return {
    outline,
    update(data) {
      showImagery(data);
      showCredit(data.imagery.filter(({ chosen }) => chosen));
      outline.show(data);
    },
    stops: [outline.stop, stopLines, stopKeeping],
  };
}

function addTools(L, map, outline) {
  const button = (name, label, onclick) => iconButton(name, label, onclick, { class: null });
  addToolbar(
    L,
    map,
    { role: 'toolbar', 'aria-label': 'Draw the area' },
    button('rectangle', 'Draw a rectangle', () => outline.draw('Rectangle')),
    button('polygon', 'Draw a polygon', () => outline.draw('Polygon')),
    button('view', 'Use map view', () => outline.takeView()),
    button('trash', 'Delete the area', () => outline.remove()),
  );
}

// Imagery under the outline, the outlines of scenes, and what of the area they leave bare.
function imageryLayers(L, map) {
  const tiles = new Map();
  const outlines = L.layerGroup().addTo(map);
  const bare = L.layerGroup().addTo(map);
  let fitted = sessionStorage.getItem(`${VIEW}:fit`);
  const tile = ({ tiles: url, bounds, native }) =>
    // Ours by their path; a service's preview by its whole address.
    imageryLayer(L, url.startsWith('/') ? location.origin + url : url, bounds, native);
  return ({ imagery, preview, missing, fit: target }) => {
    const pictured = [preview, ...imagery].filter((image) => image?.tiles);
    const wanted = new Map(pictured.map((image) => [image.tiles, image]));
    for (const [url, image] of wanted) {
      if (!tiles.has(url)) tiles.set(url, tile(image).addTo(map));
    }
    for (const [url, layer] of tiles) {
      if (wanted.has(url)) continue;
      tiles.delete(url);
      // The picture before stays until the one that takes its place is there.
      later('a picture that gives way', wanted.size ? 400 : 0, () => layer.remove());
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
    if (target && target.stamp !== fitted) {
      fitted = target.stamp;
      sessionStorage.setItem(`${VIEW}:fit`, fitted);
      fit(map, target.bounds, PADDING, { animate: false });
    }
  };
}

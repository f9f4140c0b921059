// Lines of longitude and latitude with their figures: where one is when there is no basemap.
import { h } from '../shared/dom.js';

const STEPS = [90, 45, 30, 15, 10, 5, 2, 1, 0.5, 0.2, 0.1, 0.05, 0.02, 0.01, 0.005, 0.002, 0.001];
const STYLE = { color: '#94a3b8', weight: 1, opacity: 0.28, interactive: false };

// Draws them and keeps them current; returns how to stop.
export function graticule(L, map) {
  const pane = map.createPane('lk-graticule');
  pane.style.zIndex = 150;
  pane.style.pointerEvents = 'none';
  const group = L.layerGroup().addTo(map);
  const draw = () => {
    group.clearLayers();
    const bounds = map.getBounds();
    const [west, east] = [bounds.getWest(), bounds.getEast()];
    const [south, north] = [Math.max(bounds.getSouth(), -85), Math.min(bounds.getNorth(), 85)];
    const step = stepFor((east - west) / Math.max(map.getSize().x / 140, 2));
    for (const lon of between(west, east, step)) {
      line([south, lon], [north, lon]);
      figure([south, lon], degrees(turned(lon), 'E', 'W', step), 'lk-south');
    }
    for (const lat of between(south, north, step)) {
      line([lat, west], [lat, east]);
      figure([lat, east], degrees(lat, 'N', 'S', step), 'lk-east');
    }
  };
  const line = (from, to) =>
    group.addLayer(L.polyline([from, to], { ...STYLE, pane: 'lk-graticule' }));
  const figure = (place, text, side) => {
    const html = h('span', { class: side }, text);
    const shown = L.divIcon({ className: 'lk-degrees', html, iconSize: [0, 0] });
    group.addLayer(
      L.marker(place, { icon: shown, interactive: false, keyboard: false, pane: 'lk-graticule' }),
    );
  };
  draw();
  map.on('moveend resize', draw);
  return () => map.off('moveend resize', draw);
}

const stepFor = (wanted) => [...STEPS].reverse().find((step) => step >= wanted) ?? STEPS[0];

function between(low, high, step) {
  const first = Math.ceil(low / step);
  const count = Math.floor(high / step) - first + 1;
  return Array.from({ length: Math.max(0, Math.min(count, 60)) }, (_, i) => (first + i) * step);
}

// The same longitude between -180 and 180.
const turned = (lon) => (((lon % 360) + 540) % 360) - 180;

function degrees(value, positive, negative, step) {
  const digits = step >= 1 ? 0 : Math.ceil(-Math.log10(step) - 1e-9);
  const side = Math.abs(value) < 1e-9 ? '' : value > 0 ? positive : negative;
  return `${Math.abs(value).toFixed(digits)}°${side}`;
}

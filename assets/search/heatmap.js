// The heatmap: every chip coloured by its score to the query, as canvas tiles over the imagery.
import { canvasGrid } from '../map/canvas_grid.js';
import { inTile, trace } from '../map/footprints.js';
import { h } from '../shared/dom.js';
import { formatScore } from '../shared/format.js';
import { viridis } from '../shared/viridis.js';

const STEPS = 48; // colours; a tile is filled once for each

export function drawHeatmap(L, map, { store, root, data }) {
  const legend = h('div', { class: 'lk-legend', role: 'img' });
  root.querySelector('.lk-map-pane').append(legend);
  // A chip is 256 pixels wide; the next one starts a stride further.
  const share = Math.min(1, data.collection.stride / 256);
  let layer = null;
  const draw = ({ heat, scores, footprints }) => {
    const before = layer;
    const ready = heat && scores && footprints;
    const span = ready && scoreRange(scores);
    layer = span ? heatmapLayer(L, footprints, scores, span, share).addTo(map) : null;
    before?.remove(); // after the new one is there: no blink
    legend.hidden = !span;
    if (span) drawLegend(legend, span);
  };
  const stop = store.watch(['heat', 'scores', 'footprints'], draw);
  return () => {
    stop();
    legend.remove();
  };
}

// From the lowest twentieth to the best but a few (the query itself is one): outliers must not use
// up the colours.
export function scoreRange(scores) {
  const known = scores.filter((value) => !Number.isNaN(value)).sort();
  if (!known.length) return null;
  const low = known[Math.floor(known.length * 0.05)];
  const high = known[Math.ceil((known.length - 1) * 0.995)];
  return { low, high: Math.max(high, low + 1e-6) };
}

function drawLegend(legend, { low, high }) {
  const stops = Array.from({ length: 9 }, (_, k) => viridis(k / 8)).join(', ');
  const bar = h('span', { class: 'lk-legend-bar' });
  bar.style.background = `linear-gradient(90deg, ${stops})`;
  const ends = [h('span', {}, formatScore(low)), bar, h('span', {}, formatScore(high))];
  legend.replaceChildren(h('span', { class: 'lk-wide' }, 'Similarity'), ...ends);
  legend.setAttribute('aria-label', `Similarity from ${formatScore(low)} (dark) to ${formatScore(high)} (yellow)`);
}

function heatmapLayer(L, footprints, scores, span, share) {
  const steps = stepsOf(scores, span);
  const draw = (pen, coords, size) => fill(pen, footprints, steps, coords, size, share);
  return canvasGrid(L, 'lk-heat', draw, 1); // soft areas, which gain nothing from sharper tiles
}

// The colour of each chip as a step, 255 for none.
function stepsOf(scores, { low, high }) {
  return Uint8Array.from(scores, (value) => {
    if (Number.isNaN(value)) return 255;
    const at = Math.max(0, Math.min(1, (value - low) / (high - low)));
    return Math.round(at * (STEPS - 1));
  });
}

// Overlapping chips share the ground: each colours the middle that is nearest to it.  What no
// middle covers, the margin of a scene, takes the colour of the chips that reach there.
function fill(pen, footprints, steps, coords, size, share) {
  const groups = Array.from({ length: STEPS }, () => []);
  for (const row of inTile(footprints, coords, size)) {
    if (steps[row] < STEPS) groups[steps[row]].push(row);
  }
  for (const part of share < 1 ? [1, share] : [1]) {
    groups.forEach((rows, step) => {
      if (!rows.length) return;
      pen.beginPath();
      for (const row of rows) trace(pen, footprints, row, coords, size, part);
      pen.fillStyle = viridis(step / (STEPS - 1));
      pen.fill();
      pen.strokeStyle = pen.fillStyle; // closes the hairlines between neighbours
      pen.lineWidth = 0.8;
      pen.stroke();
    });
  }
}

// Precision and recall at each threshold, estimated by a check: in words, and as a small chart.
import { formatCount, formatScore, plural } from '../shared/format.js';

const [WIDTH, HEIGHT] = [320, 150];
const [LEFT, RIGHT, TOP, BOTTOM] = [42, 8, 8, 24];

// The cut at a score: the last threshold that still admits only hits at or above it.
export function cutAt(estimates, minScore) {
  return estimates.filter(({ threshold }) => threshold >= minScore - 1e-9).at(-1) ?? estimates[0];
}

// In words, without statistical terms.
export function describePrecision(cut, noun = 'hit') {
  if (!cut) return `There are no ${noun}s.`;
  const start = `${plural(cut.hits, `${noun} scores`, `${noun}s score`)} ${formatScore(cut.threshold)} or higher`;
  if (cut.precision === null) return `${start}; none of them has been judged in a check.`;
  const share = `${percent(cut.precision)} right`;
  if (cut.judged === cut.hits) return `${start}: ${share} (all judged).`;
  const range = `between ${percent(cut.low)} and ${percent(cut.high)}`;
  const unsure = cut.unsure ? ` and judged, and ${formatCount(cut.unsure)} that nobody could tell` : '';
  return `${start}: about ${share}, ${range}, based on ${formatCount(cut.judged)} drawn at random${unsure}.`;
}

// How much of what is right in the list a threshold keeps; empty where nothing tells.
export function describeRecall(cut, population, noun = 'hit') {
  if (!cut || cut.recall === null || cut.precision === null || cut.hits === population) return '';
  const range = `between ${percent(cut.recall_low)} and ${percent(cut.recall_high)}`;
  return `They hold about ${percent(cut.recall)} of the right ones among all ${plural(population, noun)}, ${range}.`;
}

export const percent = (share) => `${Math.round(100 * share)}%`;

export function precisionChart(estimates, minScore, onCut) {
  const svg = shape('svg', {
    viewBox: `0 0 ${WIDTH} ${HEIGHT}`,
    class: 'lk-chart',
    role: 'img',
    'aria-label': 'Estimated precision by minimum score, with its 95% interval',
  });
  const scores = estimates.map(({ threshold }) => threshold);
  const [high, low] = [Math.max(...scores), Math.min(...scores)];
  const span = high - low || 1;
  // Loose cuts to the right: further right, more hits.
  const x = (value) => LEFT + ((high - value) / span) * (WIDTH - LEFT - RIGHT);
  const y = (share) => TOP + (1 - share) * (HEIGHT - TOP - BOTTOM);
  for (const share of [0, 0.5, 1]) {
    svg.append(line(LEFT, y(share), WIDTH - RIGHT, y(share), 'lk-rule'));
    svg.append(text(LEFT - 5, y(share) + 4, percent(share), 'end'));
  }
  svg.append(text(LEFT, HEIGHT - 8, formatScore(high), 'start'));
  svg.append(text(WIDTH - RIGHT, HEIGHT - 8, formatScore(low), 'end'));
  svg.append(text((LEFT + WIDTH) / 2, HEIGHT - 8, 'minimum score', 'middle'));
  const known = estimates.filter(({ precision }) => precision !== null);
  if (known.length) {
    const upper = known.map((cut) => `${x(cut.threshold)},${y(cut.high)}`);
    const lower = known.map((cut) => `${x(cut.threshold)},${y(cut.low)}`).reverse();
    svg.append(shape('polygon', { points: [...upper, ...lower].join(' '), class: 'lk-range' }));
    const middle = known.map((cut) => `${x(cut.threshold)},${y(cut.precision)}`);
    svg.append(shape('polyline', { points: middle.join(' '), class: 'lk-estimate' }));
  }
  const cut = cutAt(estimates, minScore);
  if (cut) {
    svg.append(line(x(cut.threshold), TOP, x(cut.threshold), HEIGHT - BOTTOM, 'lk-cut'));
    if (cut.precision !== null) {
      const place = { cx: x(cut.threshold), cy: y(cut.precision), r: 4 };
      svg.append(shape('circle', { ...place, class: 'lk-spot' }));
    }
  }
  svg.addEventListener('click', (event) => {
    const box = svg.getBoundingClientRect();
    const at = ((event.clientX - box.left) / box.width) * WIDTH;
    const nearest = (best, one) =>
      Math.abs(x(one.threshold) - at) < Math.abs(x(best.threshold) - at) ? one : best;
    onCut(estimates.reduce(nearest).threshold);
  });
  return svg;
}

const line = (x1, y1, x2, y2, name) => shape('line', { x1, y1, x2, y2, class: name });

function text(x, y, words, anchor) {
  const element = shape('text', { x, y, 'text-anchor': anchor });
  element.textContent = words;
  return element;
}

function shape(tag, attributes) {
  const element = document.createElementNS('http://www.w3.org/2000/svg', tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  return element;
}

// Estimated precision at each threshold, as a small chart with its interval, and in words.
import { formatCount, formatScore, plural } from '../shared/format.js';

const [WIDTH, HEIGHT] = [320, 150];
const [LEFT, RIGHT, TOP, BOTTOM] = [42, 8, 8, 24];

// The cut at a score: the last threshold that still admits only hits at or above it.
export function cutAt(precision, minScore) {
  return precision.filter(({ threshold }) => threshold >= minScore - 1e-9).at(-1) ?? precision[0];
}

// In words, without statistical terms.
export function describePrecision(cut) {
  if (!cut) return 'There are no hits.';
  const hits = plural(cut.hits, 'hit scores', 'hits score');
  const start = `${hits} ${formatScore(cut.threshold)} or higher`;
  if (cut.estimate === null) return `${start}; none reviewed yet.`;
  const share = `${percent(cut.estimate)} correct`;
  if (cut.reviewed === cut.hits) return `${start}: ${share} (all reviewed).`;
  const range = `between ${percent(cut.low)} and ${percent(cut.high)}`;
  return `${start}: about ${share}, ${range}, based on ${formatCount(cut.reviewed)} reviewed.`;
}

export const percent = (share) => `${Math.round(100 * share)}%`;

export function precisionChart(precision, minScore, onCut) {
  const svg = shape('svg', {
    viewBox: `0 0 ${WIDTH} ${HEIGHT}`,
    class: 'lk-chart',
    role: 'img',
    'aria-label': 'Estimated precision by minimum score',
  });
  const scores = precision.map(({ threshold }) => threshold);
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
  const known = precision.filter(({ estimate }) => estimate !== null);
  if (known.length) {
    const upper = known.map((cut) => `${x(cut.threshold)},${y(cut.high)}`);
    const lower = known.map((cut) => `${x(cut.threshold)},${y(cut.low)}`).reverse();
    svg.append(shape('polygon', { points: [...upper, ...lower].join(' '), class: 'lk-range' }));
    const middle = known.map((cut) => `${x(cut.threshold)},${y(cut.estimate)}`);
    svg.append(shape('polyline', { points: middle.join(' '), class: 'lk-estimate' }));
  }
  const cut = cutAt(precision, minScore);
  if (cut) {
    svg.append(line(x(cut.threshold), TOP, x(cut.threshold), HEIGHT - BOTTOM, 'lk-cut'));
    if (cut.estimate !== null) {
      const place = { cx: x(cut.threshold), cy: y(cut.estimate), r: 4 };
      svg.append(shape('circle', { ...place, class: 'lk-spot' }));
    }
  }
  svg.addEventListener('click', (event) => {
    const box = svg.getBoundingClientRect();
    const at = ((event.clientX - box.left) / box.width) * WIDTH;
    const nearest = (best, one) =>
      Math.abs(x(one.threshold) - at) < Math.abs(x(best.threshold) - at) ? one : best;
    onCut(precision.reduce(nearest).threshold);
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

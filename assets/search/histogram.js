// How the scores are spread, drawn behind the slider that cuts them.
import { penOf } from '../shared/canvas.js';
import { scoreRange } from './heatmap.js';

const BINS = 50;

export function drawHistogram(canvas, { scores, hits, minScore, summary }) {
  const [width, height] = [150, 28];
  const pen = penOf(canvas, width, height);
  pen.clearRect(0, 0, width, height);
  const all = scores && scoreRange(scores) ? scores : hits.map((hit) => hit.score);
  const bins = countBins(all);
  const most = Math.max(...bins);
  if (!most) return;
  const look = getComputedStyle(canvas);
  const step = width / BINS;
  bins.forEach((count, k) => {
    if (!count) return;
    // The root keeps the few best in sight beside the many.
    const tall = Math.max(2, Math.sqrt(count / most) * (height - 2));
    pen.fillStyle = look.color;
    pen.globalAlpha = (k + 0.5) / BINS >= minScore ? 0.85 : 0.3;
    pen.fillRect(k * step, height - tall, Math.max(1, step - 0.6), tall);
  });
  const one = summary?.byChance?.[1];
  if (one > 0 && one < 1) drawLine(pen, one * width, height, look.getPropertyValue('--lk-accent') || look.color);
}

// Where chance ends: fewer than one chip would score higher by chance.
function drawLine(pen, x, height, colour) {
  pen.globalAlpha = 1;
  pen.strokeStyle = colour;
  pen.setLineDash([3, 2]);
  pen.beginPath();
  pen.moveTo(x, 0);
  pen.lineTo(x, height);
  pen.stroke();
  pen.setLineDash([]);
}

function countBins(scores) {
  const bins = new Array(BINS).fill(0);
  for (const value of scores) {
    if (Number.isNaN(value)) continue;
    bins[Math.max(0, Math.min(BINS - 1, Math.floor(value * BINS)))] += 1;
  }
  return bins;
}

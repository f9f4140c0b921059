// Ranks of results: the best is bright yellow, the last a warm red; dark text reads on all.
import { h } from './dom.js';

const WARM = ['#ffe45c', '#ffb627', '#ff8a3d', '#f4694a'];

export function rankColour(rank, total) {
  const share = total > 1 ? ((rank - 1) / (total - 1)) * (WARM.length - 1) : 0;
  const low = Math.min(Math.floor(share), WARM.length - 2);
  return mix(WARM[low], WARM[low + 1], share - low);
}

function mix(from, to, share) {
  const channel = (colour, i) => parseInt(colour.slice(1 + 2 * i, 3 + 2 * i), 16);
  const blended = [0, 1, 2].map((i) =>
    Math.round(channel(from, i) + (channel(to, i) - channel(from, i)) * share),
  );
  return `rgb(${blended.join(', ')})`;
}

export function rankMark(rank, colour) {
  const mark = h('span', { class: 'lk-rank' }, String(rank));
  mark.style.background = colour;
  return mark;
}

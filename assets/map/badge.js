import { rankMark } from '../shared/ranks.js';

// A rank at a place of the map, with what else its mark says; `above` orders badges among each other.
export function rankBadge(L, place, rank, colour, above, ...more) {
  const mark = rankMark(rank, colour);
  mark.append(...more);
  return L.marker(place, {
    icon: L.divIcon({ className: 'lk-rank-place', html: mark, iconSize: [0, 0] }),
    interactive: false,
    keyboard: false,
    zIndexOffset: above,
  });
}

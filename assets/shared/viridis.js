// Viridis, perceptually uniform and legible to the colour-blind: a share of 0 to 1 → colour.
const STOPS = [
  [68, 1, 84],
  [71, 44, 122],
  [59, 81, 139],
  [44, 113, 142],
  [33, 144, 141],
  [39, 173, 129],
  [92, 200, 99],
  [170, 220, 50],
  [253, 231, 37],
];

export function viridis(share) {
  const at = Math.max(0, Math.min(1, share)) * (STOPS.length - 1);
  const low = Math.min(Math.floor(at), STOPS.length - 2);
  const mixed = STOPS[low].map((from, k) =>
    Math.round(from + (STOPS[low + 1][k] - from) * (at - low)),
  );
  return `rgb(${mixed.join(' ')})`;
}

import { NIGHT } from './colours.js';

// A bright outline on a dark one, so that it stands out from any ground.
export function outline(L, corners, colour, pane, { weight = 2.5, fill = 0.05, renderer, dash = null } = {}) {
  const still = { pane, renderer, interactive: false, fill: false };
  return L.layerGroup([
    L.polygon(corners, { ...still, color: NIGHT, weight: weight + 2.5, opacity: 0.65 }),
    L.polygon(corners, {
      ...still,
      color: colour,
      weight,
      fill: true,
      fillOpacity: fill,
      dashArray: dash,
    }),
  ]);
}

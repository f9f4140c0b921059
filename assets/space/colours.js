// The colours of chips, by scene or by similarity.
import { viridis } from '../shared/viridis.js';

const SCENES = ['#3b9edd', '#e8a33d', '#35b184', '#c879b8', '#d8553f', '#8f9bb3', '#b8b13c'];

// The colour of each chip on the map: of those in the lasso, or of all when one was clicked.
export function chipColours({ shown, like, points }) {
  if (!points || (!shown.size && !like)) return () => null;
  const scene = new Map();
  for (let at = 0; at < points.length; at += 4) scene.set(points[at], points[at + 3]);
  const colour = pointColours(like);
  return (row) =>
    scene.has(row) && (!shown.size || shown.has(row)) ? colour(row, scene.get(row)) : null;
}

export function pointColours(like) {
  if (!like) return (row, scene) => SCENES[scene % SCENES.length];
  const [low, high] = extent(like.scores); // the chip itself aside
  return (row) => viridis((like.scores[row] - low) / (high - low || 1));
}

function extent(values) {
  let [low, high] = [Infinity, -Infinity];
  for (const value of values) {
    if (value < 0.9999) high = Math.max(high, value);
    low = Math.min(low, value);
  }
  return [low, high];
}

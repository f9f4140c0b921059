// The heatmap: which scores its colours span, and which chips it fills.
import assert from 'node:assert/strict';
import test from 'node:test';

import { L } from './page.mjs';
import { h } from '../../assets/shared/dom.js';
import { readFootprints } from '../../assets/map/footprints.js';
import { drawHeatmap, scoreRange } from '../../assets/search/heatmap.js';
import { createStore } from '../../assets/shared/store.js';

const floats = (...values) => Float32Array.from(values);

test('there are no colours without scores', () => {
  assert.equal(scoreRange(floats()), null);
  assert.equal(scoreRange(floats(NaN, NaN)), null);
});

test('equal scores have a span that can be divided by', () => {
  const { low, high } = scoreRange(floats(0.5, 0.5));
  assert.equal(low, 0.5);
  assert.ok(high > low);
});

test('the lowest twentieth and the query itself do not use up the colours', () => {
  const scores = Float32Array.from({ length: 1000 }, (_, k) => 0.4 + k / 5000);
  scores.fill(-1, 0, 30);
  scores[999] = 1;
  const { low, high } = scoreRange(scores);
  assert.ok(low > 0.4 && low < 0.42, String(low));
  assert.ok(high > 0.59 && high < 0.6, String(high));
});

test('scores below zero are ordered as numbers, and those filtered out are left aside', () => {
  const { low, high } = scoreRange(floats(NaN, -0.5, -0.25, NaN));
  assert.deepEqual([low, high], [-0.5, -0.25]);
});

const square = (west, north) => [west, north, west + 1, north, west + 1, north - 1, west, north - 1];

// A heatmap over chips on both sides of the antimeridian, one of them without a score.
function shown(state) {
  const corners = [square(178.5, 0), square(180.5, 0), square(181.5, 0)].flat();
  const footprints = readFootprints(Float64Array.from(corners).buffer);
  const store = createStore({ heat: true, footprints, scores: floats(0.1, 0.9, NaN), ...state });
  const pane = h('div');
  const root = { querySelector: () => pane };
  const map = { layers: [] };
  const stop = drawHeatmap(L, map, { store, root, data: { collection: { stride: 256 } } });
  return { legend: pane.children[0], map, stop, store };
}

test('chips with a score are filled, also beyond the antimeridian', () => {
  const [layer] = shown().map.layers;
  const fills = (x) => layer.drawn({ x, y: 128, z: 8 }).filter(({ name }) => name === 'fill');
  assert.deepEqual(fills(254).map(({ fillStyle }) => fillStyle), ['rgb(68 1 84)']);
  assert.deepEqual(fills(257).map(({ fillStyle }) => fillStyle), ['rgb(253 231 37)']);
  assert.deepEqual(fills(0), []);
});

test('the legend says the span in words and goes with the heatmap', () => {
  const { legend, map, store } = shown();
  assert.equal(legend.hidden, false);
  assert.match(legend.attributes['aria-label'], /from 0\.10 \(dark\) to 0\.90 \(yellow\)/);
  store.set({ heat: false });
  assert.equal(legend.hidden, true);
  assert.equal(map.layers[0].removed, true);
});

test('where no chip has a score there is neither heatmap nor legend', () => {
  const { legend, map } = shown({ scores: floats(NaN, NaN, NaN) });
  assert.equal(legend.hidden, true);
  assert.deepEqual(map.layers, []);
});

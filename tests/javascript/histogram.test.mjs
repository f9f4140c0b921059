// The spread of the scores behind the slider that cuts them.
import assert from 'node:assert/strict';
import test from 'node:test';

import { strokes } from './page.mjs';
import { h } from '../../assets/shared/dom.js';
import { drawHistogram } from '../../assets/search/histogram.js';

// Bars from left to right, each with its place, height and whether it is above the cut.
function bars({ scores = null, hits = [], minScore = 0 }) {
  strokes.length = 0;
  drawHistogram(h('canvas'), { scores, hits, minScore });
  return strokes
    .filter(({ name }) => name === 'fillRect')
    .map(({ args: [x, , , tall], globalAlpha }) => ({ x, tall, kept: globalAlpha > 0.5 }));
}

test('nothing is drawn without scores', () => {
  assert.deepEqual(bars({}), []);
  assert.deepEqual(bars({ scores: Float32Array.of() }), []);
  assert.deepEqual(bars({ scores: Float32Array.of(NaN, NaN) }), []);
});

test('scores outside 0 to 1 count at its ends, and chips without a score nowhere', () => {
  const drawn = bars({ scores: Float32Array.of(-0.5, 0, 1, 1.2, NaN) });
  assert.deepEqual(drawn.map(({ x }) => x), [0, 147]);
  assert.equal(drawn[0].tall, drawn[1].tall);
});

test('the few best stay in sight beside the many', () => {
  const scores = new Float32Array(10_001).fill(0.3);
  scores[0] = 0.95;
  const [many, few] = bars({ scores });
  assert.ok(many.tall > few.tall);
  assert.ok(few.tall >= 2);
});

test('bars below the cut are pale', () => {
  const drawn = bars({ scores: Float32Array.of(0.2, 0.8), minScore: 0.5 });
  assert.deepEqual(drawn.map(({ kept }) => kept), [false, true]);
});

test('until all scores are there the hits are counted', () => {
  assert.equal(bars({ hits: [{ score: 0.9 }, { score: 0.2 }] }).length, 2);
  assert.equal(bars({ scores: Float32Array.of(NaN), hits: [{ score: 0.9 }] }).length, 1);
});

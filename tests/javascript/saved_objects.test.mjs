// A saved object search on the Search page: what it shows, and how good its objects are.
import assert from 'node:assert/strict';
import test from 'node:test';

import './page.mjs';
import { checkWords, stateOf } from '../../assets/search/objects/saved.js';

const CHECK = {
  size: 50,
  estimates: [
    { threshold: 0.9, judged: 0, precision: null, low: 0, high: 1 },
    { threshold: 0.7, judged: 8, precision: 0.75, low: 0.41, high: 0.93 },
  ],
};
const search = (recipe) => ({
  id: 'a', name: 'Planes', query: 'one', created: '2026-01-02T03:04:05Z', object_size: 40, recipe,
});

test('a point of the recipe is an example of the size that was looked for', () => {
  const { examples, detector } = stateOf({ search: search({ at: [2, 48] }), objects: [], check: CHECK });
  assert.deepEqual(examples, [{ at: [2, 48], object_size: 40, label: 'good' }]);
  assert.equal(detector, null);
});

test('a saved detector search has its detector and no example', () => {
  const { examples, detector, answer } = stateOf({
    search: search({ detector: 'planes' }), objects: [], check: CHECK,
  });
  assert.deepEqual(examples, []);
  assert.equal(detector.name, 'planes');
  assert.equal(answer.score_map, '');
});

test('only a check tells how many of the shown objects are right; without one it is offered', () => {
  assert.equal(checkWords(CHECK, 0.6), 'About 75% right (41% to 93%), based on 8 drawn at random');
  assert.equal(checkWords(CHECK, 0.8), 'Continue the check');
  assert.equal(checkWords({ size: 0, estimates: [] }, 0), 'Check how many are right');
});

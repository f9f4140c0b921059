// A saved object search on the Search page: what it shows, and how good its objects are.
import assert from 'node:assert/strict';
import test from 'node:test';

import './page.mjs';
import { precisionAt, stateOf } from '../../assets/search/objects/saved.js';

const CUTS = [
  { threshold: 0.9, reviewed: 0, estimate: null, low: 0, high: 1 },
  { threshold: 0.7, reviewed: 8, estimate: 0.75, low: 0.41, high: 0.93 },
];
const search = (recipe) => ({
  id: 'a', name: 'Planes', query: 'one', created: '2026-01-02T03:04:05Z', object_size: 40, recipe,
});

test('a point of the recipe is an example of the size that was looked for', () => {
  const { examples, detector } = stateOf({ search: search({ at: [2, 48] }), objects: [], precision: [] });
  assert.deepEqual(examples, [{ at: [2, 48], object_size: 40, label: 'good' }]);
  assert.equal(detector, null);
});

test('a saved detector search has its detector and no example', () => {
  const { examples, detector, answer } = stateOf({
    search: search({ detector: 'planes' }), objects: [], precision: [],
  });
  assert.deepEqual(examples, []);
  assert.equal(detector.name, 'planes');
  assert.equal(answer.score_map, '');
});

test('the precision is of the objects that are shown, and silent before any is judged', () => {
  assert.equal(precisionAt(CUTS, 0.6), '75% good (41 to 93%), 8 reviewed');
  assert.equal(precisionAt(CUTS, 0.8), '');
  assert.equal(precisionAt([], 0), '');
});

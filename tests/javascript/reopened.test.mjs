// A saved search opens with the hits that it had, and with the marks and cut of its link.
import assert from 'node:assert/strict';
import test from 'node:test';

import './page.mjs';
import { savedState } from '../../assets/search/reopened.js';
import { missingHits } from '../../assets/shared/missing_hits.js';

const hits = [
  { id: 'a', row: 0, rank: 1, score: 0.9 },
  { id: 'b', row: 1, rank: 2, score: 0.4 },
];
const SAVED = {
  id: 's1',
  name: 'Salt ponds',
  created: '2024-05-01T00:00:00Z',
  start: { kind: 'chip', chip: 'c1', row: 7 },
  recipe: { chip: 'c1', good: ['g1'], bad: ['b1'], since: '2024-01-01', max_nodata: 0, threshold: 0.3 },
  parameters: { k: 50, suppress: false },
  examples: [{ id: 'g1', row: 3, lon: 1, lat: 2 }],
  marks: { a: 'good', b: 'skip' },
  hits,
  eligible: 80,
  total: 100,
  changed: false,
  missing: [],
};
const LINK = { marks: {}, minScore: 0 };

test('hits, options, filters and examples are those that were saved', () => {
  const state = savedState(SAVED, LINK);
  assert.equal(state.hits, hits);
  assert.deepEqual(state.shown, hits);
  assert.deepEqual(state.query, SAVED.start);
  assert.deepEqual([state.good, state.bad], [['g1'], ['b1']]);
  assert.deepEqual(state.options, { k: 50, suppress: false, any_orientation: false, any_scale: false, ranking: 'default' });
  assert.deepEqual(state.filters, { since: '2024-01-01', max_nodata: 0 });
  assert.deepEqual(state.examples.get('g1'), SAVED.examples[0]);
  assert.deepEqual(state.summary, { eligible: 80, total: 100, seconds: null });
});

test('a search that was saved with little opens too', () => {
  const state = savedState({ ...SAVED, recipe: { chip: 'c1' }, examples: [], hits: [] }, LINK);
  assert.deepEqual([state.good, state.bad, state.filters, state.shown], [[], [], {}, []]);
  assert.equal(state.reopened.minScore, 0);
});

test('verdicts of the review and examples are its marks; skipped hits carry none', () => {
  assert.deepEqual(savedState(SAVED, LINK).marks, { a: 'good', g1: 'good', b1: 'bad' });
});

test('marks of the link stand in place of the saved ones', () => {
  assert.deepEqual(savedState(SAVED, { ...LINK, marks: { b: 'bad' } }).marks, { b: 'bad' });
});

test('the cut of the link holds; the one that was saved waits for the next search', () => {
  const state = savedState(SAVED, { ...LINK, minScore: 0.5 });
  assert.equal(state.minScore, 0.5);
  assert.deepEqual(state.shown, [hits[0]]);
  assert.equal(state.reopened.minScore, 0.3);
  const below = { ...SAVED, recipe: { ...SAVED.recipe, threshold: -0.5 } };
  assert.equal(savedState(below, LINK).reopened.minScore, 0);
});

test('hits whose chips are gone are told in words, one as one', () => {
  assert.match(missingHits(1), /^1 hit is missing: its chip/);
  assert.match(missingHits(1200), /^1\u2009200 hits are missing: their chips/);
});

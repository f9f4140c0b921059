// What is sent to the server for a search, and what is shown of its answer.
import assert from 'node:assert/strict';
import test from 'node:test';

import { queryKey, recipeOf, shownResults } from '../../assets/shared/recipe.js';

const state = {
  query: { kind: 'chip', chip: 'c1', row: 4, lon: 1, lat: 2, datetime: '2024-05-01' },
  good: [],
  bad: [],
  options: { k: 10, suppress: true, any_orientation: false, any_scale: false },
  filters: {},
  merged: false,
  minScore: 0,
};

test('a search sends its start and options, and nothing else of what the page knows', () => {
  assert.deepEqual(recipeOf({ ...state, marks: { c2: 'bad' }, page: 3, problem: null }), {
    chip: 'c1',
    k: 10,
    suppress: true,
    any_orientation: false,
    any_scale: false,
  });
});

test('what is marked good beside the query is to stay', () => {
  const marks = { a: 'good', b: 'bad', c: 'good' };
  assert.deepEqual(recipeOf({ ...state, good: ['a'], marks }).keep, ['c']);
});

test('hits marked good stay below the cut, sites with one too, and marked ones can be hidden', () => {
  const hit = (id, score) => ({ id, score, row: 1 });
  const hits = [hit('a', 0.9), hit('b', 0.5), hit('c', 0.3), hit('d', 0.2)];
  const ids = (changes) => shownResults({ hits, sites: null, minScore: 0.8, ...changes }).map(({ id }) => id);
  const marks = { b: 'bad', c: 'good' };
  assert.deepEqual(ids({ marks }), ['a', 'c']);
  assert.deepEqual(ids({ marks, hideMarked: true }), ['a']);
  assert.deepEqual(ids({ marks, hideMarked: true, minScore: 0 }), ['a', 'd']);
  const sites = [{ id: 'b', rank: 1, score: 0.5, count: 2, chips: ['b', 'c'] }, { id: 'd', rank: 2, score: 0.2, count: 1, chips: ['d'] }];
  assert.deepEqual(ids({ marks, sites }), ['b']);
});

test('a search starts from one thing alone', () => {
  const start = (query) => recipeOf({ ...state, query, options: {} });
  assert.deepEqual(start({ kind: 'chip', at: [1, 2], row: 4 }), { at: [1, 2] });
  assert.deepEqual(start({ kind: 'chip', chip: 'c1', at: [1, 2] }), { chip: 'c1' });
  assert.deepEqual(start({ kind: 'box', box: [0, 0, 1, 1], corners: [[0, 0]] }), { box: [0, 0, 1, 1] });
  assert.deepEqual(start({ kind: 'picture', picture: 'p1' }), { picture: 'p1' });
  assert.deepEqual(start({ kind: 'examples' }), {});
});

test('a picture goes as its file until the server has given it an id', () => {
  const file = { name: 'dropped.png' };
  assert.equal(recipeOf({ ...state, query: { kind: 'picture', file } }).file, file);
  const known = recipeOf({ ...state, query: { kind: 'picture', picture: 'p1', file } });
  assert.equal(known.picture, 'p1');
  assert.ok(!('file' in known));
});

test('filters and examples are sent where there are some', () => {
  const filters = { max_nodata: 0, since: '2024-01-01', scenes: ['s1'] };
  const recipe = recipeOf({ ...state, filters, good: ['g1'], bad: ['b1', 'b2'] });
  assert.equal(recipe.max_nodata, 0);
  assert.equal(recipe.since, '2024-01-01');
  assert.deepEqual(recipe.scenes, ['s1']);
  assert.deepEqual([recipe.good, recipe.bad], [['g1'], ['b1', 'b2']]);
  const without = recipeOf(state);
  assert.ok(!('good' in without) && !('bad' in without) && !('scenes' in without));
});

test('sites are asked for with overlapping hits, of those at or above the cut', () => {
  const recipe = recipeOf({ ...state, merged: true, minScore: 0.4 });
  assert.equal(recipe.suppress, false);
  assert.equal(recipe.threshold, 0.4);
  assert.ok(!('threshold' in recipeOf({ ...state, merged: true, minScore: 0 })));
  assert.ok(!('threshold' in recipeOf({ ...state, merged: false, minScore: 0.4 })));
  assert.equal(state.options.suppress, true);
});

test('the same query has the same name whatever is shown of it, another has another', () => {
  const name = queryKey(state);
  assert.equal(queryKey({ ...state, page: 2, query: { kind: 'chip', chip: 'c1' } }), name);
  const others = [
    { query: null },
    { query: { kind: 'chip', chip: 'c2' } },
    { query: { kind: 'chip', at: [1, 2] } },
    { good: ['c1'] },
    { bad: ['c1'] },
  ];
  const names = new Set([name, ...others.map((other) => queryKey({ ...state, ...other }))]);
  assert.equal(names.size, others.length + 1);
});

const hits = [
  { id: 'a', row: 0, rank: 1, score: 0.9 },
  { id: 'b', row: 1, rank: 2, score: 0.5 },
  { id: 'c', row: 2, rank: 3, score: -0.1 },
];
const ids = (shown) => shown.map(({ id }) => id);

test('hits at or above the cut are shown; a cut at 0 hides none, not even those below 0', () => {
  assert.deepEqual(ids(shownResults({ hits, sites: null, minScore: 0.5 })), ['a', 'b']);
  assert.deepEqual(ids(shownResults({ hits, sites: null, minScore: 0.51 })), ['a']);
  assert.deepEqual(ids(shownResults({ hits, sites: null, minScore: 0 })), ['a', 'b', 'c']);
  assert.deepEqual(ids(shownResults({ hits, minScore: 1 })), []);
  assert.deepEqual(shownResults({ hits: [], sites: null, minScore: 0 }), []);
});

test('a site is shown as its best hit, with its own rank, its outline and all its chips', () => {
  const geometry = { type: 'Polygon', coordinates: [] };
  const sites = [
    { id: 'a', rank: 1, score: 0.9, count: 2, chips: ['a', 'b'], geometry },
    { id: 'c', rank: 2, score: -0.1, count: 1, chips: ['c'], geometry },
  ];
  const [first, second] = shownResults({ hits, sites, minScore: 0 });
  assert.deepEqual(first, { ...hits[0], count: 2, rows: [0, 1], outline: geometry });
  assert.equal(second.rank, 2);
  assert.deepEqual(ids(shownResults({ hits, sites, minScore: 0.2 })), ['a']);
  assert.deepEqual(shownResults({ hits, sites: [], minScore: 0 }), []);
});

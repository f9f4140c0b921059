// Marks, examples and Refine, and undo of each.
import './page.mjs';
import assert from 'node:assert/strict';
import test from 'node:test';

import { authorNamed } from './marking.mjs';
import { createMarks, isMarked, isRefinable } from '../../assets/search/marks.js';
import { createStore } from '../../assets/shared/store.js';

const CHIP = { kind: 'chip', chip: 'c1' };
const hit = (id) => ({ id, row: 0, lon: 1, lat: 2 });

// A page with these hits on it; its searches are answered at once.
function page(changes = {}) {
  const store = createStore({
    query: CHIP, good: [], bad: [], marks: {}, authors: {}, markSet: 'set00001', stored: false,
    examples: new Map(), past: [],
    shown: [hit('a'), hit('b')],
    ...changes,
  });
  const searches = [];
  let links = 0;
  const run = (changed) => {
    store.set(changed);
    searches.push(changed);
  };
  const clear = () => {
    store.set({ past: marks.undoSteps() });
    store.set({ query: null, good: [], bad: [], marks: {}, authors: {}, markSet: 'set00002', stored: false, shown: [] });
  };
  const told = [];
  const queue = {
    addTo: (set, marks) => told.push(...marks.map(({ chip, label }) => `${set} ${chip} ${label}`)),
    unsentOf: () => [],
  };
  const author = authorNamed('Ann');
  const marks = createMarks({ store, runSearch: run, clear, updateAddress: () => (links += 1), show: store.set, queue, author });
  return { marks, told, searches, state: store.state, store, links: () => links };
}

test('a mark is set, changed and taken away by the same key, and is in the link each time', () => {
  const { marks, state, links } = page();
  marks.mark(0, 'good');
  assert.deepEqual(state.marks, { a: 'good' });
  marks.mark(0, 'bad');
  assert.deepEqual(state.marks, { a: 'bad' });
  marks.mark(1, 'good');
  marks.mark(0, 'bad');
  assert.deepEqual(state.marks, { b: 'good' });
  assert.equal(links(), 4);
});

test('a mark where there is no result does nothing', () => {
  const { marks, state, links } = page();
  for (const place of [-1, 2, NaN, undefined]) marks.mark(place, 'good');
  assert.deepEqual([state.marks, state.past, links()], [{}, [], 0]);
});

test('undo takes marks back one by one without a search, then does nothing', () => {
  const { marks, state, searches } = page();
  marks.mark(0, 'good');
  marks.mark(1, 'bad');
  marks.undo();
  assert.deepEqual(state.marks, { a: 'good' });
  marks.undo();
  assert.deepEqual(state.marks, {});
  marks.undo();
  assert.deepEqual([state.marks, state.past, searches], [{}, [], []]);
});

test('Refine searches towards the good and away from the bad; undo searches as before', () => {
  const { marks, state, searches } = page();
  marks.mark(0, 'good');
  marks.mark(1, 'bad');
  marks.refine();
  assert.deepEqual([searches[0].good, searches[0].bad], [['a'], ['b']]);
  assert.deepEqual(state.query, CHIP);
  marks.undo();
  assert.deepEqual([searches[1].good, searches[1].bad], [[], []]);
  assert.deepEqual(state.marks, { a: 'good', b: 'bad' });
  assert.equal(state.past.length, 2);
});

test('Refine with only bad marks keeps the examples that are the only start', () => {
  const examples = { query: { kind: 'examples' }, good: ['x', 'y'] };
  const { marks, state, searches } = page({ ...examples, marks: { a: 'bad' } });
  assert.ok(isRefinable(state));
  marks.refine();
  assert.deepEqual([searches[0].good, searches[0].bad], [['x', 'y'], ['a']]);
  assert.deepEqual(state.marks, { a: 'bad', x: 'good', y: 'good' });
  assert.ok(!isRefinable(state));

  const one = page({ ...examples, marks: { x: 'bad' } });
  one.marks.refine();
  assert.deepEqual([one.searches[0].good, one.searches[0].bad], [['y'], ['x']]);

  const none = page({ ...examples, marks: { x: 'bad', y: 'bad' } });
  assert.ok(!isRefinable(none.state));
  none.marks.refine();
  assert.deepEqual(none.searches, []);
});

test('Refine waits for a query and a mark', () => {
  const [bare, blank] = [page(), page({ query: null, marks: { a: 'good' } })];
  bare.marks.refine();
  blank.marks.refine();
  assert.deepEqual([bare.searches, blank.searches], [[], []]);
});

test('Refine is offered while marks and query differ, whatever their order', () => {
  const refinable = (marks, good = [], bad = []) => isRefinable({ query: CHIP, marks, good, bad });
  assert.ok(!refinable({}));
  assert.ok(refinable({ a: 'good' }));
  assert.ok(!refinable({ b: 'good', a: 'good', c: 'bad' }, ['a', 'b'], ['c']));
  assert.ok(refinable({ a: 'bad' }, ['a']));
  assert.ok(refinable({ a: 'good' }, ['a', 'b']));
  assert.ok(!isRefinable({ query: null, marks: { a: 'good' }, good: [], bad: [] }));
  assert.deepEqual([isMarked({ marks: {} }), isMarked({ marks: { a: 'bad' } })], [false, true]);
});

test('a chip joins the query as a good example and leaves it when it is chosen again', () => {
  const { marks, state, searches } = page();
  marks.toggleExample(hit('x'));
  assert.deepEqual([state.good, state.marks], [['x'], { x: 'good' }]);
  assert.deepEqual(state.examples.get('x'), hit('x'));
  marks.toggleExample(hit('x'));
  assert.deepEqual([state.good, state.marks, state.query], [[], {}, CHIP]);
  assert.equal(searches.length, 2);
});

test('a bad example that is chosen again leaves the query', () => {
  const { marks, state } = page({ good: ['a'], bad: ['b'], marks: { a: 'good', b: 'bad' } });
  marks.toggleExample(hit('b'));
  assert.deepEqual([state.good, state.bad, state.marks], [['a'], [], { a: 'good' }]);
});

test('the query goes on by its examples without the chip that it started from', () => {
  const { marks, state } = page({ good: ['a'], marks: { a: 'good' } });
  marks.removeExample('c1');
  assert.deepEqual(state.query, { kind: 'examples' });
  assert.deepEqual(state.good, ['a']);
});

test('without any good example left the search ends, and undo brings it back', () => {
  const { marks, state } = page({ query: { kind: 'examples' }, good: ['a'], marks: { a: 'good' } });
  marks.removeExample('a');
  assert.equal(state.query, null);
  marks.undo();
  assert.deepEqual([state.query, state.good], [{ kind: 'examples' }, ['a']]);
  assert.deepEqual([state.marks, state.past], [{ a: 'good' }, []]);
});

test('undo of the first search leads to the empty page', () => {
  const { marks, state, store } = page({ query: null, shown: [] });
  store.set({ past: marks.undoSteps(), query: CHIP });
  marks.undo();
  assert.deepEqual([state.query, state.past], [null, []]);
});

test('undo during a search goes back to the search that it took the place of', () => {
  const places = [[1, 2], [3, 4]].map((at) => ({ kind: 'chip', at }));
  const files = ['one', 'other'].map((name) => ({ kind: 'picture', file: { name } }));
  for (const [first, second] of [places, files, [files[0], places[0]]]) {
    const { marks, state, searches, store } = page({ query: first, shown: [] });
    store.set({ past: marks.undoSteps(), query: second });
    marks.undo();
    assert.deepEqual(state.query, first);
    assert.equal(searches.length, 1);
  }
});

test('undo goes a hundred steps back, and no further', () => {
  const { marks, state } = page();
  for (let k = 0; k < 130; k++) marks.mark(0, 'good');
  assert.equal(state.past.length, 100);
});

test('the server is told each mark and each that is taken back, in order', () => {
  const { marks, told, state } = page();
  marks.mark(0, 'good');
  marks.mark(1, 'bad');
  marks.mark(0, 'good');
  marks.undo();
  assert.deepEqual(told, ['set00001 a good', 'set00001 b bad', 'set00001 a ', 'set00001 a good']);
  assert.deepEqual([state.authors.a, state.stored], ['Ann', true]);
});

test('marks of a link of before join the set with the first mark that is given', () => {
  const { marks, told } = page({ marks: { old: 'good' } });
  marks.mark(0, 'bad');
  assert.deepEqual(told.sort(), ['set00001 a bad', 'set00001 old good']);
});

test("another's mark is confirmed, not taken away, and undo takes back only one's own", () => {
  const theirs = { marks: { a: 'good' }, authors: { a: 'Ben' }, stored: true };
  const { marks, told, state } = page(theirs);
  marks.mark(0, 'good');
  assert.deepEqual([state.marks, state.authors], [{ a: 'good' }, { a: 'Ann' }]);
  marks.undo();
  assert.deepEqual([state.marks, state.authors], [{ a: 'good' }, { a: 'Ben' }]);
  assert.deepEqual(told, ['set00001 a good', 'set00001 a ']);
});

test('marks of the server replace what is shown; those of chips that are gone are counted', () => {
  const { marks, state } = page({ marks: { a: 'good', b: 'bad' }, stored: true });
  const mark = (chip, label, author) => ({ chip, label, author });
  marks.take('set00001', { marks: [mark('b', 'good', 'Ben'), mark('lost', 'good', 'Ann')], missing: ['lost'] });
  assert.deepEqual([state.marks, state.authors, state.gone], [{ b: 'good' }, { b: 'Ben' }, ['lost']]);
  marks.take('another0', { marks: [], missing: [] });
  assert.deepEqual(state.marks, { b: 'good' });
});

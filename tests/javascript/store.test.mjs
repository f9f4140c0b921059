// Views are drawn when what they draw changes, and only then.
import assert from 'node:assert/strict';
import test from 'node:test';

import { createStore } from '../../assets/shared/store.js';

const drawn = (store, keys) => {
  const seen = [];
  const stop = store.watch(keys, (state) => seen.push({ ...state }));
  return { seen, stop };
};

test('a view is drawn at once with the state as it is', () => {
  const { seen } = drawn(createStore({ page: 3 }), ['page']);
  assert.deepEqual(seen, [{ page: 3 }]);
});

test('a view is drawn once for a change of several of its keys, with all of them changed', () => {
  const store = createStore({ hits: [], page: 0 });
  const { seen } = drawn(store, ['hits', 'page']);
  store.set({ hits: ['a'], page: 1 });
  assert.deepEqual(seen.slice(1), [{ hits: ['a'], page: 1 }]);
});

test('a view is not drawn for keys of others', () => {
  const store = createStore({ hits: [], page: 0 });
  const { seen } = drawn(store, ['page']);
  store.set({ hits: ['a'] });
  assert.equal(seen.length, 1);
  assert.deepEqual(store.state.hits, ['a']);
});

test('a view is not drawn when a key is set to the value it has', () => {
  const marks = {};
  const store = createStore({ marks, page: 0 });
  const { seen } = drawn(store, ['marks', 'page']);
  store.set({ marks, page: 0 });
  store.set({});
  assert.equal(seen.length, 1);
  store.set({ marks: {} });
  assert.equal(seen.length, 2);
});

test('a key that the state did not begin with can be set and watched', () => {
  const store = createStore({});
  const { seen } = drawn(store, ['saved']);
  store.set({ saved: null });
  store.set({ saved: undefined });
  assert.deepEqual(seen.map(({ saved }) => saved), [undefined, null, undefined]);
});

test('a stopped view is drawn no more, others go on, and stopping twice does no harm', () => {
  const store = createStore({ page: 0 });
  const [gone, stays] = [drawn(store, ['page']), drawn(store, ['page'])];
  gone.stop();
  gone.stop();
  store.set({ page: 1 });
  assert.equal(gone.seen.length, 1);
  assert.equal(stays.seen.length, 2);
});

test('a view that is added while others are drawn is drawn once', () => {
  const store = createStore({ page: 0 });
  let late = null;
  store.watch(['page'], ({ page }) => {
    if (page === 1) late ??= drawn(store, ['page']);
  });
  store.set({ page: 1 });
  assert.equal(late.seen.length, 1);
  store.set({ page: 2 });
  assert.equal(late.seen.length, 2);
});

test('a view may change the state it is drawn with; all views end with the last value', () => {
  const store = createStore({ page: 0, selected: -1 });
  store.watch(['page'], ({ page }) => store.set({ selected: page * 60 }));
  const { seen } = drawn(store, ['page', 'selected']);
  store.set({ page: 1 });
  assert.deepEqual(seen.at(-1), { page: 1, selected: 60 });
});

test('two pages that begin with the same state do not share it', () => {
  const initial = { page: 0 };
  const [one, other] = [createStore(initial), createStore(initial)];
  one.set({ page: 5 });
  assert.equal(other.state.page, 0);
  assert.equal(initial.page, 0);
});

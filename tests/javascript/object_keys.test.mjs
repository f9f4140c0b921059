// Keys of object search: each press marks the next object.
import './page.mjs';
import assert from 'node:assert/strict';
import test from 'node:test';

import { listenToObjectKeys } from '../../assets/search/objects/keys.js';

function page({ hidden = false } = {}) {
  const marked = [];
  const state = { selected: -1, shown: ['a', 'b', 'c'], judging: false, help: false };
  const actions = {
    mark(index) {
      marked.push(state.shown[index]);
      if (hidden) state.shown = state.shown.filter((_, k) => k !== index);
    },
    select: (index) => (state.selected = index),
  };
  let listen;
  Object.assign(globalThis, { addEventListener: (_, act) => (listen = act), removeEventListener() {} });
  listenToObjectKeys({ store: { state }, actions, map: {} });
  const press = (key) => listen({ key, target: {}, preventDefault() {} });
  return { press, marked, state };
}

test('keys mark one object after another, from the first on', () => {
  const { press, marked, state } = page();
  for (const key of ['g', 'b', 'g']) press(key);
  assert.deepEqual(marked, ['a', 'b', 'c']);
  assert.equal(state.selected, 2);
});

test('none is left out where marked ones are hidden', () => {
  const { press, marked, state } = page({ hidden: true });
  for (const key of ['g', 'b', 'g']) press(key);
  assert.deepEqual(marked, ['a', 'b', 'c']);
  assert.equal(state.selected, -1);
});

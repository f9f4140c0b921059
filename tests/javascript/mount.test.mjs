// A component's view lives as long as what it depends on, whatever Streamlit runs again.
import assert from 'node:assert/strict';
import test from 'node:test';

import { collectionKey, createMount } from '../../assets/shared/mount.js';

// A component whose views note what happens to them.
function component(keyOf) {
  const noted = [];
  const start = (root, data, send) => {
    noted.push(`start ${data.name}`);
    return {
      update: ({ name }) => noted.push(`update ${name}`),
      stop: () => noted.push(`stop ${data.name}`),
      send,
    };
  };
  const mount = createMount('.x', start, keyOf);
  const root = {};
  const parentElement = { querySelector: () => root };
  return { noted, run: (data) => mount({ data, parentElement, setTriggerValue() {} }) };
}

test('a rerun updates the view that is there', () => {
  const { noted, run } = component();
  const stop = run({ name: 'a' });
  assert.equal(run({ name: 'b' }), stop);
  assert.deepEqual(noted, ['start a', 'update a', 'update b']);
});

test('another key ends the view and starts the next one', () => {
  const { noted, run } = component(({ name }) => name);
  run({ name: 'a' });
  run({ name: 'b' });
  assert.deepEqual(noted, ['start a', 'update a', 'stop a', 'start b', 'update b']);
});

test('a view that was replaced does not end the one that took its place, nor itself twice', () => {
  const { noted, run } = component(({ name }) => name);
  const stopFirst = run({ name: 'a' });
  const stopSecond = run({ name: 'b' });
  stopFirst();
  stopSecond();
  stopSecond();
  assert.deepEqual(noted.filter((note) => note.startsWith('stop')), ['stop a', 'stop b']);
  run({ name: 'b' });
  assert.equal(noted.at(-2), 'start b');
});

test('a collection that was built again is another one', () => {
  const key = (name, version) => collectionKey({ collection: { name, version } });
  assert.notEqual(key('a', '1'), key('a', '2'));
  assert.notEqual(key('a', '1'), key('b', '1'));
});

// Files of object search: what is asked of the server for them.
import assert from 'node:assert/strict';
import test from 'node:test';

import './page.mjs';
import { createObjectExports } from '../../assets/search/objects/exports.js';
import { objectAt } from '../../assets/search/objects/layers.js';
import { createStore } from '../../assets/shared/store.js';

// The request that an export sends; the server refuses it.
async function asked(state, act) {
  const sent = [];
  const refuse = (kind) => async (...fields) => {
    sent.push([kind, ...fields]);
    throw new Error('no');
  };
  const service = { file: refuse('file'), savedFile: refuse('saved'), scoreMapFile: refuse('scores') };
  const store = createStore({ saved: null, minScore: 0, answer: { score_map: 'abc' }, busy: '', problem: null, ...state });
  const data = { collection: { name: 'ponds' } };
  await act(createObjectExports({ store, service, data, recipe: () => ({ k: 9 }) }));
  assert.equal(store.state.problem.message, 'no');
  assert.equal(store.state.busy, '');
  return sent;
}

test('a minimum score exports outlines at it; without one there are windows', async () => {
  const act = (exports) => exports.exportAs('gpkg', 'outline');
  const what = { k: 9, format: 'gpkg', geometry: 'outline' };
  assert.deepEqual(await asked({ minScore: 0.6 }, act), [['file', { ...what, threshold: 0.6, outlines: true }]]);
  assert.deepEqual(await asked({}, act), [['file', { ...what, threshold: null, outlines: false }]]);
});

test('objects of some marks alone are exported', async () => {
  const act = (exports) => exports.exportAs('csv', 'point', ['good', 'none']);
  const [[, fields]] = await asked({}, act);
  assert.deepEqual(fields.only_marks, ['good', 'none']);
  const [[, id, kept]] = await asked({ saved: { id: 'a' } }, act);
  assert.deepEqual([id, kept.marks], ['a', 'good,none']);
});

test('what is hidden on the page is not left out of a file', async () => {
  const [[, fields]] = await asked({ hideMarked: true }, (exports) => exports.exportAs('csv', 'point'));
  assert.deepEqual(Object.keys(fields).sort(), ['format', 'geometry', 'k', 'outlines', 'threshold']);
});

test('the score map is exported with the minimum score', async () => {
  const act = (exports) => exports.exportScoreMap();
  assert.deepEqual(await asked({ minScore: 0.4 }, act), [['scores', 'abc', 0.4]]);
});

test('an object is under the pointer within its outline and within its window', () => {
  const square = (from, to) => ({ coordinates: [[[from, 0], [to, 0], [to, 1], [from, 1], [from, 0]]] });
  const shown = [{ id: 'a', geometry: square(0, 1) }];
  const outlines = new Map([['a', square(0.5, 2)]]);
  const at = (lng) => objectAt({ shown, outlines }, { lng, lat: 0.5 });
  assert.deepEqual([at(0.2), at(1.5), at(3)], [0, 0, -1]);
});

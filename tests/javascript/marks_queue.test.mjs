// Marks on their way to the server: in order, kept until it has them, and none holds up another set.
import './page.mjs';
import assert from 'node:assert/strict';
import test from 'node:test';

import { createMarksQueue } from '../../assets/search/objects/marks_queue.js';
import { createStore } from '../../assets/shared/store.js';

globalThis.localStorage ??= globalThis.sessionStorage;

test('marks that the server refuses are kept, told, and hold up no others', async () => {
  const taken = [];
  let bad = '';
  const mark = async (set, marks) => {
    if (set === bad) throw Object.assign(new Error('The set is full'), { status: 400 });
    taken.push(...marks.map(({ label }) => label));
  };
  const store = createStore({ unsent: 0, problem: null });
  const queue = createMarksQueue({ data: { collection: { name: 'ponds' } }, service: { mark }, store });
  bad = queue.fresh();
  await queue.add({ label: 'good' });
  assert.equal(store.state.problem.message, 'The set is full');
  queue.fresh();
  await queue.add({ label: 'bad' });
  await queue.add({ label: 'skip' });
  await queue.flushed();
  assert.deepEqual(taken, ['bad', 'skip']);
  assert.equal(store.state.unsent, 1);
});

// Marks on their way to the server: in order, kept until it has them, and none holds up another set.
import './page.mjs';
import { authorNamed, marksServer } from './marking.mjs';
import assert from 'node:assert/strict';
import test from 'node:test';

import { createMarksQueue } from '../../assets/search/marks_queue.js';
import { createStore } from '../../assets/shared/store.js';

const data = { collection: { name: 'ponds' } };

test('marks that the server refuses are kept, told, and hold up no others', async () => {
  const taken = [];
  let bad = '';
  const mark = async (set, marks) => {
    if (set === bad) throw Object.assign(new Error('The set is full'), { status: 400 });
    taken.push(...marks.map(({ label }) => label));
  };
  const store = createStore({ unsent: 0, problem: null });
  const queue = createMarksQueue({ data, service: { mark }, store, author: authorNamed('Ann') });
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

// A page with a queue; what is not sent yet is common to all pages of a browser.
function page(service, author = authorNamed('Ann')) {
  const heard = [];
  const store = createStore({ unsent: 0, problem: null });
  const queue = createMarksQueue({ data, service, store, author, onMarks: (_, answer) => heard.push(answer) });
  return { queue, store, heard };
}

test('marks given while the server hangs are kept, and a reload sends them in order', async () => {
  localStorage.setItem('lookalike:unsent-marks:ponds', '[]');
  const hanging = page({ mark: () => new Promise(() => {}) });
  const set = hanging.queue.spare();
  for (const [chip, label] of [['a', 'good'], ['b', 'bad'], ['a', '']]) hanging.queue.addTo(set, [{ chip, label }]);
  assert.equal(hanging.store.state.unsent, 3);
  hanging.queue.stop();
  const server = marksServer();
  const again = page(server);
  assert.deepEqual(again.queue.unsentOf(set).map(({ chip }) => chip), ['a', 'b', 'a']);
  await again.queue.send();
  assert.deepEqual(server.sets.get(set).map(({ chip, label, author }) => [chip, label, author]), [['a', 'good', 'Ann'], ['b', 'bad', 'Ann'], ['a', '', 'Ann']]);
  assert.deepEqual(again.heard.at(-1).marks.map(({ chip }) => chip), ['b']);
});

test('what was marked before the author gave a name goes by that name', async () => {
  const server = marksServer();
  let name = 'Guest 1234';
  const { queue } = page(server, { name: () => name, marked() {} });
  const set = queue.spare();
  queue.addTo(set, [{ chip: 'a', label: 'good' }]);
  queue.addTo(set, [{ chip: 'b', label: 'bad' }]);
  name = 'Ann';
  queue.rename('Guest 1234', 'Ann');
  await queue.flushed();
  const { marks } = await server.marks(set);
  assert.deepEqual(marks.map(({ chip, label, author }) => [chip, label, author]), [['a', 'good', 'Ann'], ['b', 'bad', 'Ann']]);
});

// The units in a reviewer's hand: asked for ahead, none twice, the one that was begun first.
import './page.mjs';
import assert from 'node:assert/strict';
import test from 'node:test';

import { createHand } from '../../assets/census/hand.js';
import { authorNamed } from './marking.mjs';

const named = (...ids) => ids.map((id) => ({ id }));
const settled = () => new Promise((done) => setTimeout(done));

// A hand, and what it asked for; `given` are the server's answers, one after the other.
function handOf(given, { unsent = [], begun = null, fail = () => {} } = {}) {
  const asked = [];
  const censuses = {
    async next(_, reviewer, n) {
      asked.push([reviewer, n]);
      const answer = given.shift() ?? [];
      if (answer instanceof Error) throw answer;
      return { units: named(...answer), done: !answer.length };
    },
  };
  const answers = { flushed: async () => {}, unsent: () => new Set(unsent) };
  const author = { ...authorNamed('Ada'), known: () => true };
  let changes = 0;
  const hand = createHand({ id: 'c', censuses, answers, author, begun: () => begun, changed: () => changes++, fail });
  return { hand, asked, changes: () => changes };
}

const ids = (hand) => [hand.first(), ...hand.ahead()].map((unit) => unit?.id);

test('more units come before the hand is empty, and those in it not twice', async () => {
  const { hand, asked, changes } = handOf([['a', 'b', 'c', 'd'], ['b', 'c', 'd', 'e', 'f', 'g']]);
  hand.more();
  await settled();
  assert.deepEqual(ids(hand), ['a', 'b', 'c', 'd']);
  hand.more(); // enough
  hand.drop();
  hand.more();
  await settled();
  assert.deepEqual(ids(hand), ['b', 'c', 'd', 'e', 'f', 'g']);
  assert.deepEqual(asked, [['Ada', 6], ['Ada', 6]]);
  assert.equal(changes(), 1);
});

test('a unit whose answer is on its way does not come again', async () => {
  const { hand } = handOf([['a', 'b']], { unsent: ['a'] });
  hand.more();
  await settled();
  assert.deepEqual(ids(hand), ['b']);
});

test('skipped units go last, those taken back first', async () => {
  const { hand } = handOf([['a', 'b', 'c', 'd']]);
  hand.more();
  await settled();
  hand.putOff();
  assert.deepEqual(ids(hand), ['b', 'c', 'd', 'a']);
  hand.takeUp({ id: 'z' });
  hand.takeUp({ id: 'd' });
  assert.deepEqual(ids(hand), ['d', 'z', 'b', 'c', 'a']);
});

test('after a reload the unit that was begun comes first, wherever the server has it', async () => {
  const six = ['a', 'b', 'c', 'd', 'e', 'f'];
  const { hand, asked } = handOf([six, [...six, 'x']], { begun: 'x' });
  hand.more();
  await settled();
  assert.equal(hand.first().id, 'x');
  assert.deepEqual(asked.map(([, n]) => n), [6, 12]);
});

test('it is over when the server has no more, and not when it cannot be reached', async () => {
  const over = handOf([[]]).hand;
  over.more();
  await settled();
  assert.ok(over.over());
  const problems = [];
  const outage = Object.assign(new Error('no answer'), { status: 0 });
  const { hand } = handOf([outage], { fail: (problem) => problems.push(problem) });
  hand.more();
  await settled();
  assert.deepEqual([hand.over(), hand.reached(), problems], [false, false, []]);
  hand.stop();
});

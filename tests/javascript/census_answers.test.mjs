// Answers on their way to the server: in order, kept through an outage, each counted once.
import './page.mjs';
import './marking.mjs';
import assert from 'node:assert/strict';
import test from 'node:test';

import { createAnswers } from '../../assets/census/answers.js';

const NAME = 'lookalike:unsent-answers';
const refusal = (status) => Object.assign(new Error('refused'), { status });
const answer = (unit, value = 0) => ({ kind: 'answer', census: 'c1', reviewer: 'Ada', unit, answer: value, seconds: 2 });

// A server that keeps what it is sent, unless `trouble(unit)` says why not.
function server(trouble = () => null) {
  const taken = [];
  const take = (what) => async (census, fields, unit = Object.keys(fields.answers ?? {})[0]) => {
    const problem = trouble(unit);
    if (problem) throw problem;
    taken.push([what, unit, ...(fields.key ? [fields.key] : [])]);
    return { judged: taken.length };
  };
  return { taken, answer: take('answer'), undo: take('undo'), skip: take('skip') };
}

test('answers, undo and skip arrive in order, and what the server then says is heard', async () => {
  localStorage.setItem(NAME, '[]');
  const censuses = server();
  const answers = createAnswers(censuses);
  const heard = [];
  answers.listen({ live: ({ unit }, { judged }) => heard.push([unit, judged]) });
  answers.add(answer('a'));
  answers.add({ kind: 'undo', census: 'c1', reviewer: 'Ada', unit: 'a' });
  answers.add({ kind: 'skip', census: 'c1', reviewer: 'Ada', unit: 'b' });
  await answers.flushed();
  assert.deepEqual(censuses.taken.map(([what, unit]) => [what, unit]), [['answer', 'a'], ['undo', 'a'], ['skip', 'b']]);
  assert.deepEqual(heard, [['a', 1], ['a', 2], ['b', 3]]);
});

test('an outage and a reload lose nothing, and what was sent twice has one key', async () => {
  localStorage.setItem(NAME, '[]');
  const keys = [];
  const dead = createAnswers({ answer: async (_, { key }) => (keys.push(key), Promise.reject(refusal(0))) });
  await dead.add(answer('a', [[8, 47]]));
  await dead.add(answer('b', 3));
  dead.stop();
  const censuses = server();
  const again = createAnswers(censuses);
  assert.deepEqual([...again.unsent('c1')], ['a', 'b']);
  await again.send();
  assert.deepEqual(censuses.taken.map(([, unit]) => unit), ['a', 'b']);
  assert.equal(censuses.taken[0][2], keys[0]);
  assert.equal(again.unsent('c1').size, 0);
});

test('an answer that another has given is dropped and told; those of a lost census wait', async () => {
  localStorage.setItem(NAME, '[]');
  const censuses = server((unit) => ({ taken: refusal(409), lost: refusal(404) })[unit]);
  const answers = createAnswers(censuses);
  const refused = [];
  answers.listen({ refused: ({ unit }) => refused.push(unit) });
  await answers.add(answer('taken'));
  await answers.add({ ...answer('lost'), census: 'c2' });
  await answers.add(answer('fine'));
  await answers.add({ kind: 'undo', census: 'c1', reviewer: 'Ada', unit: 'lost' }); // taken back already
  await answers.flushed();
  assert.deepEqual(refused, ['taken', 'lost']);
  assert.deepEqual(censuses.taken.map(([, unit]) => unit), ['fine']);
  assert.deepEqual([...answers.unsent('c2')], ['lost']);
});

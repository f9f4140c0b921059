// The panel that tells how many hits are right, before, during and after a check.
import assert from 'node:assert/strict';
import test from 'node:test';

import './page.mjs';
import { sizeWords } from '../../assets/results/check.js';
import { createTrust, marksNote } from '../../assets/results/trust.js';

const cut = (threshold, hits, fields) => ({
  threshold, hits, judged: 0, unsure: 0, precision: null, low: 0, high: 1,
  recall: null, recall_low: 0, recall_high: 1, ...fields,
});
const NONE = { size: 0, judged: 0, left: 0, population: 20, strata: [], marks: {}, estimates: [cut(0.8, 10), cut(0.5, 20)] };
const KNOWN = { judged: 4, precision: 0.75, low: 0.3, high: 0.95 };
const BEGUN = { ...NONE, size: 10, judged: 4, left: 6, strata: [20], marks: { a: 'good' }, estimates: [cut(0.8, 10, KNOWN), cut(0.5, 20, KNOWN)] };
const panel = (check, marks = 0) => createTrust({ check, marks, cut() {}, begin() {}, remove() {} });
const textOf = (node) => (node.children?.length ? node.children.map(textOf).join('') : (node.textContent ?? node));
const words = ({ element }) => textOf(element);

test('before a check nothing is claimed, and a check is offered', () => {
  const text = words(panel(NONE, 3));
  assert.match(text, /Nobody knows yet: 20 hits score 0\.50 or higher/);
  assert.match(text, /3 marks from searching and reviewing are no random sample/);
  assert.doesNotMatch(text, /% right/);
});

test('a check that is stopped estimates and can go on', () => {
  const text = words(panel(BEGUN));
  assert.match(text, /about 75% right, between 30% and 95%, based on 4 drawn at random/);
  assert.match(text, /4 of 10 judged/);
  assert.match(text, /Continue check/);
});

test('a search without hits has nothing to check', () => {
  assert.match(words(panel({ ...NONE, population: 0, estimates: [] })), /There are no hits/);
});

test('one mark is told in the singular; a sample of all hits is exact', () => {
  assert.match(marksNote(1), /^1 mark from searching and reviewing is no random sample/);
  assert.equal(sizeWords(50, 0.136, 300), '50 hits (±14% or better)');
  assert.equal(sizeWords(20, 0, 20), 'All 20 hits (exact)');
});

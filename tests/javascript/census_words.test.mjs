// What a census says, in words.
import assert from 'node:assert/strict';
import test from 'node:test';

import './page.mjs';
import { styleOf, wordsOf } from '../../assets/census/map.js';
import { agreementWords, barOf, duration, intervalWords, leftWords, percent, shareWords, stopWords } from '../../assets/census/words.js';

const REPORT = {
  estimate: 1240, low: 1150, high: 1330, exact: false, confidence: 0.95,
  judged: 150, units: 2000, left: 80, seconds_left: 660, error: 0.05,
};

test('the interval stands below the total; a count has none', () => {
  assert.equal(intervalWords(REPORT), '95% interval: 1\u2009150 to 1\u2009330');
  assert.match(intervalWords({ ...REPORT, exact: true }), /a count, not an estimate/);
  assert.equal(intervalWords({ ...REPORT, estimate: null }), '');
});

test('it says how many units and how much time are left', () => {
  assert.equal(leftWords(REPORT), '150 of 2\u2009000 units judged. About 80 more for ±5%, 11 min at this pace.');
  assert.equal(leftWords({ ...REPORT, seconds_left: null }), '150 of 2\u2009000 units judged. About 80 more for ±5%.');
  assert.match(leftWords({ ...REPORT, left: 0 }), /The wanted ±5% is reached/);
  assert.equal(leftWords({ ...REPORT, left: null }), '150 of 2\u2009000 units judged.');
  assert.equal(leftWords({ ...REPORT, judged: 2000, left: 0, exact: true }), '2\u2009000 of 2\u2009000 units judged.');
});

test('shares, times and agreement are told as people say them', () => {
  assert.equal(shareWords(0.953, 0.9, 0.98), '95% (90% to 98%)');
  assert.equal(shareWords(null, null, null), 'not known yet');
  assert.equal(percent(0.016), '1.6%');
  assert.deepEqual([20, 300, 9000].map(duration), ['20 s', '5 min', '2.5 h']);
  assert.equal(
    agreementWords({ double: 10, same: 0.9, kappa: 0.81, lean: 0.02 }),
    'Two reviewers judged 10 units: the same count in 90%, κ = 0.81; their totals differ by 4%.',
  );
  assert.doesNotMatch(agreementWords({ double: 1, same: 1, kappa: null, lean: 0 }), /κ|differ/);
});

test('the stop rule is reached or not, and by what', () => {
  const stop = { reached: false, recall: 0.95, confidence: 0.95, p: 0.4, seen: 7, random: 30 };
  assert.match(stopWords(stop), /^Not reached: 95% of the units.*p = 0.40 after 30 random units/);
  assert.match(stopWords({ ...stop, reached: true }), /^Reached/);
  assert.doesNotMatch(stopWords({ ...stop, random: 0 }), /random/);
});

test('the bar begins at zero and holds the interval', () => {
  const { left, width, middle } = barOf(REPORT);
  assert.ok(left < middle && middle < left + width && left + width < 100);
  assert.deepEqual(barOf({ estimate: 0, low: 0, high: 0 }), { left: 0, width: 0, middle: 0 });
});

test('a unit on the map says what was counted, or what is expected', () => {
  assert.equal(wordsOf({ judged: true, count: 1 }), '1 thing');
  assert.equal(wordsOf({ judged: true, count: null }), 'Cannot tell');
  assert.equal(wordsOf({ judged: false, score: 2.345 }), 'Not judged; about 2.3 expected');
  const colours = [1, 0, null].map((count) => styleOf({ judged: true, count }).color);
  assert.equal(new Set(colours).size, 3, 'some, none and cannot tell look alike');
});

// How many hits are right at each cut, in words and as a chart.
import assert from 'node:assert/strict';
import test from 'node:test';

import './page.mjs';
import {
  cutAt,
  describePrecision,
  describeRecall,
  percent,
  precisionChart,
} from '../../assets/results/precision.js';

// Highest threshold first, as the server sends them.
const NONE = { judged: 0, unsure: 0, precision: null, low: 0, high: 1, recall: null, recall_low: 0, recall_high: 1 };
const CUTS = [
  { ...NONE, threshold: 0.9, hits: 5 },
  {
    threshold: 0.7, hits: 1200, judged: 8, unsure: 0, precision: 0.75, low: 0.41, high: 0.93,
    recall: 0.8, recall_low: 0.6, recall_high: 0.95,
  },
  {
    threshold: 0.5, hits: 2000, judged: 10, unsure: 1, precision: 0.6, low: 0.31, high: 0.83,
    recall: 1, recall_low: 1, recall_high: 1,
  },
];
const [FIRST, MIDDLE, LAST] = CUTS;
const plain = (words) => words.replaceAll('\u2009', ' ');

test('the cut at a score is the loosest that admits no hit below it', () => {
  assert.equal(cutAt(CUTS, 0.7), MIDDLE);
  assert.equal(cutAt(CUTS, 0.7 + 1e-12), MIDDLE); // the same score, through text and back
  assert.equal(cutAt(CUTS, 0.71), FIRST);
  assert.equal(cutAt(CUTS, 0), LAST);
  assert.equal(cutAt(CUTS, -1), LAST);
});

test('above all thresholds, and for no number, the strictest cut holds', () => {
  assert.equal(cutAt(CUTS, 0.95), FIRST);
  assert.equal(cutAt(CUTS, NaN), FIRST);
});

test('without hits there is no cut, and the words say so', () => {
  assert.equal(cutAt([], 0.5), undefined);
  assert.equal(describePrecision(undefined), 'There are no hits.');
});

test('words tell the estimate, its interval and what it rests on', () => {
  assert.equal(
    plain(describePrecision(MIDDLE)),
    '1 200 hits score 0.70 or higher: about 75% right, between 41% and 93%, based on 8 drawn at random.',
  );
  assert.match(describePrecision(LAST), /based on 10 drawn at random and judged, and 1 that nobody could tell\.$/);
});

test('words claim nothing where nothing is judged', () => {
  assert.equal(describePrecision(FIRST), '5 hits score 0.90 or higher; none of them has been judged in a check.');
});

test('words give no interval where every hit is judged', () => {
  const all = { threshold: 0.8, hits: 1, judged: 1, precision: 1, low: 0.2, high: 1 };
  assert.equal(plain(describePrecision(all)), '1 hit scores 0.80 or higher: 100% right (all judged).');
  const none = { ...all, precision: 0 };
  assert.equal(plain(describePrecision(none)), '1 hit scores 0.80 or higher: 0% right (all judged).');
});

test('words tell what a cut keeps of the right ones, where the sample reaches below it', () => {
  assert.equal(
    plain(describeRecall(MIDDLE, 2000)),
    'They hold about 80% of the right ones among all 2 000 hits, between 60% and 95%.',
  );
  assert.equal(describeRecall(LAST, 2000), ''); // all hits hold all of them
  assert.equal(describeRecall(FIRST, 2000), '');
  assert.equal(describeRecall(undefined, 0), '');
});

test('shares are whole per cents', () => {
  assert.deepEqual([0, 0.005, 0.994, 1].map(percent), ['0%', '1%', '99%', '100%']);
});

const pairs = ({ attributes }) => attributes.points.split(' ').map((at) => at.split(',').map(Number));

test('the chart runs from strict to loose, its estimate within its range', () => {
  const chart = precisionChart(CUTS, 0.5, () => {});
  const [estimate, range] = [chart.all('lk-estimate')[0], chart.all('lk-range')[0]].map(pairs);
  assert.equal(estimate.length, 2); // the cut without judgements is left out
  assert.ok(estimate[0][0] < estimate[1][0]);
  assert.equal(range.length, 4);
  const [upper, lower] = [range[0], range[3]];
  assert.equal(upper[0], estimate[0][0]);
  assert.ok(upper[1] < estimate[0][1] && estimate[0][1] < lower[1]); // y grows downwards
});

test('the chart marks the cut, with a spot where there is an estimate', () => {
  const spots = (minScore) => precisionChart(CUTS, minScore, () => {}).all('lk-spot').length;
  assert.deepEqual([spots(0.7), spots(0.9)], [1, 0]);
  assert.equal(precisionChart(CUTS, 0.9, () => {}).all('lk-cut').length, 1);
});

test('a click on the chart cuts at the nearest threshold, however wide it is drawn', () => {
  const cuts = [];
  const chart = precisionChart(CUTS, 0, (threshold) => cuts.push(threshold));
  Object.assign(chart, { width: 640, height: 300 });
  for (const clientX of [0, 84, 350, 640]) chart.listeners.click({ clientX });
  assert.deepEqual(cuts, [0.9, 0.9, 0.7, 0.5]);
});

test('hits of one score are drawn without a division by nothing', () => {
  const chart = precisionChart([{ ...MIDDLE }, { ...MIDDLE }], 0, () => {});
  assert.ok(pairs(chart.all('lk-estimate')[0]).flat().every(Number.isFinite));
});

test('a chart of no cuts has its rules and nothing else', () => {
  const chart = precisionChart([], 0, () => {});
  assert.equal(chart.all('lk-rule').length, 3);
  assert.deepEqual([chart.all('lk-cut'), chart.all('lk-range')], [[], []]);
});

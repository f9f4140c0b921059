// Figures, places and dates as people read them.
import assert from 'node:assert/strict';
import test from 'node:test';

import {
  formatCount, formatDay, formatExtent, formatPlace, formatScene, formatScore, plural,
} from '../../assets/shared/format.js';

test('numbers are set in threes', () => {
  const plain = (n) => formatCount(n).replaceAll('\u2009', ' ');
  assert.deepEqual([0, 999, 1000, 12345, 1234567].map(plain), ['0', '999', '1 000', '12 345', '1 234 567']);
});

test('one is counted without an s', () => {
  assert.deepEqual([0, 1, 2].map((n) => plural(n, 'hit')), ['0 hits', '1 hit', '2 hits']);
  assert.deepEqual([1, 2].map((n) => plural(n, 'hit is', 'hits are')), ['1 hit is', '2 hits are']);
});

test('scores have two digits, places latitude first, days no time', () => {
  assert.deepEqual([formatScore(1), formatScore(-0.005)], ['1.00', '-0.01']);
  assert.equal(formatPlace(-122.1234567, 37.5), '37.50000, -122.12346');
  assert.deepEqual([formatDay('2024-05-01T10:00:00Z'), formatDay(null), formatDay('')], ['2024-05-01', 'date unknown', 'date unknown']);
});

test('a box is measured on the ground: narrower away from the equator', () => {
  assert.equal(formatExtent([0, 0, 0.001, 0.001]), '111 m × 111 m');
  assert.equal(formatExtent([10, 59.5, 11, 60.5]), '55.6 km × 111.2 km');
  assert.equal(formatExtent([179.5, 0, 180.5, 1]), '111.2 km × 111.2 km');
});

test('a scene is named with its day, where it has one', () => {
  assert.equal(formatScene({ title: 'Bay', datetime: '2024-05-01T10:00:00Z' }), 'Bay · 2024-05-01');
  assert.equal(formatScene({ title: 'Bay', datetime: null }), 'Bay');
});

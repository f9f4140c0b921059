// A link of object search reopens its examples and filters.
import assert from 'node:assert/strict';
import test from 'node:test';

import { openTab } from './page.mjs';
import { readObjectLink, writeObjectLink } from '../../assets/search/objects/link.js';
import { filtersIn } from '../../assets/shared/link.js';

const EMPTY = { examples: [], minScore: 0, detector: null, picture: null, saved: null, filters: {} };
const POLYGON = { type: 'Polygon', coordinates: [[[0, 0], [2, 0], [2, 1], [0, 0]]] };

function reopened(changes) {
  openTab('/');
  writeObjectLink('ponds', { ...EMPTY, ...changes }, null);
  openTab(location.pathname + location.search);
  return readObjectLink('ponds');
}

test('filters survive a reload', () => {
  const filters = {
    within: POLYGON,
    scenes: ['a', 'b'],
    since: '2024-01-01',
    until: '2024-12-31',
    max_nodata: 0,
    min_sharpness: 0.5,
    away: 100,
  };
  assert.deepEqual(reopened({ filters }).filters, filters);
});

test('points, boxes, polygons and a picture survive a reload', () => {
  const examples = [
    { at: [1, 2], object_size: 12, label: 'good' },
    { box: [0, 0, 1, 1], label: 'good' },
    { polygon: POLYGON, label: 'good' },
  ];
  const read = reopened({ examples, picture: 'p1' });
  assert.deepEqual(read.examples, examples);
  assert.equal(read.picture, 'p1');
});

test('a saved search has its own filters', () => {
  assert.deepEqual(reopened({ saved: { id: 's' }, filters: { away: 5 } }).filters, {});
  assert.deepEqual(filtersIn({ k: 10, away: 5, within: null }), { away: 5 });
});

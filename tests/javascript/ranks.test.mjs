// The colours of results by rank.
import assert from 'node:assert/strict';
import test from 'node:test';

import './page.mjs';
import { rankColour } from '../../assets/shared/ranks.js';

test('the best result is yellow, the last a warm red, a single one yellow', () => {
  assert.equal(rankColour(1, 10), 'rgb(255, 228, 92)');
  assert.equal(rankColour(10, 10), 'rgb(244, 105, 74)');
  assert.equal(rankColour(1, 1), 'rgb(255, 228, 92)');
  assert.equal(new Set(Array.from({ length: 20 }, (_, k) => rankColour(k + 1, 20))).size, 20);
});

// Colours of a share, from dark to bright.
import assert from 'node:assert/strict';
import test from 'node:test';

import { viridis } from '../../assets/shared/viridis.js';

test('the ends are dark violet and yellow, and what lies beyond has their colours', () => {
  assert.deepEqual([0, -3, -Infinity].map(viridis), Array(3).fill('rgb(68 1 84)'));
  assert.deepEqual([1, 7, Infinity].map(viridis), Array(3).fill('rgb(253 231 37)'));
});

test('a higher share is always brighter', () => {
  const light = (share) => {
    const [red, green, blue] = viridis(share).match(/\d+/g).map(Number);
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
  };
  for (let k = 1; k <= 48; k++) assert.ok(light(k / 48) > light((k - 1) / 48), String(k));
});

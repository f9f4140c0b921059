// What stands next to a score.
import assert from 'node:assert/strict';
import { test } from 'node:test';

import { chanceSentence, chanceWords } from '../../assets/shared/chance.js';

test('a score says in words what chance would make of it', () => {
  assert.deepEqual(
    [null, undefined, 1e-9, 0.004, 0.4, 0.8, 1.4, 1234].map((number) => chanceWords(number)),
    ['', '', 'not by chance', 'by chance 1 in 250', 'by chance 1 in 3', '1 by chance', '1 by chance', '1\u2009234 by chance'],
  );
  assert.equal(chanceSentence(null), '');
  assert.equal(chanceSentence(1e-9, 'window'), 'No window would score this high by chance.');
  assert.match(chanceSentence(0.02), /1 in 50 searches/);
  assert.equal(chanceSentence(0.9), 'By chance, about 1 chip would score this high.');
});

// Links that older versions wrote open what they opened then.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import test from 'node:test';

import { openTab } from './page.mjs';
import { linkedCollection, readLink } from '../../assets/shared/link.js';

const oldest = new URL('../data/home_0_1_0/links.json', import.meta.url);

// What version 0.1.0 read, under the names that it has today.
const named = ({ least: minScore, options, ...rest }) => {
  const ranking = rest.query ? 'plain' : 'default'; // the order of then
  return { ...rest, options: { ...options, ranking }, minScore, markSet: null, hideMarked: false };
};

for (const { of, link, opens } of JSON.parse(readFileSync(oldest, 'utf8'))) {
  test(`a link of version 0.1.0 to ${of} opens it`, () => {
    openTab(link);
    assert.equal(linkedCollection(), 'fields');
    assert.deepEqual(JSON.parse(JSON.stringify(readLink('fields'))), named(opens));
  });
}

// Which steps of Back and Forward a page keeps to itself.
import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';

import { keepTravel } from '../../assets/travel.js';

beforeEach(() => {
  globalThis.location = { pathname: '/search', search: '?collection=ponds' };
  globalThis.window = new EventTarget();
});

// Lead to an address; whether the page has kept the step from Streamlit.
function lead(pathname, search = '') {
  Object.assign(location, { pathname, search });
  return !window.dispatchEvent(new CustomEvent('lookalike:travel', { cancelable: true }));
}

const stays = () => location.search.startsWith('?collection=ponds');

test('a step within the page is kept and followed', () => {
  let followed = 0;
  keepTravel(() => followed++, stays);
  assert.equal(lead('/search', '?collection=ponds&k=3'), true);
  assert.equal(lead('/search', '?collection=ponds'), true);
  assert.equal(followed, 2);
});

test('what leads elsewhere is left to Streamlit, and so is the way back from there', () => {
  let followed = 0;
  keepTravel(() => followed++, stays);
  assert.equal(lead('/'), false);
  assert.equal(lead('/search', '?collection=ponds'), false);
  assert.equal(followed, 0);
  assert.equal(lead('/search', '?collection=ponds&k=3'), true);
  assert.equal(lead('/search', '?collection=fields'), false);
  assert.equal(followed, 1);
});

test('a page that is gone keeps nothing', () => {
  const end = keepTravel(() => assert.fail('followed'));
  end();
  assert.equal(lead('/search', '?collection=ponds&k=3'), false);
});

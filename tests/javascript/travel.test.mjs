// Which steps of Back and Forward a page keeps to itself.
import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';

import { createHistory } from '../../assets/shared/history.js';

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
  createHistory('search', () => followed++, stays);
  assert.equal(lead('/search', '?collection=ponds&k=3'), true);
  assert.equal(lead('/search', '?collection=ponds'), true);
  assert.equal(followed, 2);
});

test('Streamlit hears of what leads elsewhere, and of the way back, which is followed here too', () => {
  let followed = 0;
  const steps = createHistory('search', () => followed++, stays);
  assert.equal(lead('/'), false);
  assert.equal(steps.ownsAddress(), false);
  assert.equal(followed, 0);
  assert.equal(lead('/search', '?collection=ponds'), false);
  assert.equal(followed, 1);
  assert.equal(lead('/search', '?collection=ponds&k=3'), true);
  assert.equal(lead('/search', '?collection=fields'), false);
  assert.equal(steps.ownsAddress(), false);
  assert.equal(followed, 2);
});

test('once Streamlit has been asked for something else, it hears of the step that takes that back', () => {
  let followed = 0;
  createHistory('search', () => followed++, stays).leave();
  assert.equal(lead('/search', '?collection=ponds&k=3'), false);
  assert.equal(followed, 1);
});

test('a page that is gone keeps nothing', () => {
  createHistory('search', () => assert.fail('followed')).stop();
  assert.equal(lead('/search', '?collection=ponds&k=3'), false);
});

test('a page that is drawn after Back has led elsewhere does not take that address for its own', () => {
  location.pathname = '/base/';
  assert.equal(createHistory('search', () => assert.fail('followed')).ownsAddress(), false);
  location.pathname = '/base/search';
  assert.equal(createHistory('search', () => assert.fail('followed')).ownsAddress(), true);
});

// Elements, and figures as people read them.
import assert from 'node:assert/strict';
import test from 'node:test';

import './page.mjs';
import { count, day, extent, h, place, rankColour, score } from '../../assets/shared/dom.js';

test('an element has its attributes, listeners and children; what is missing is left out', () => {
  const press = () => {};
  const attributes = { class: 'x', disabled: true, hidden: false, title: null, alt: '', onclick: press };
  const element = h('button', attributes, 'Words', null, undefined, h('b'));
  assert.deepEqual(element.attributes, { class: 'x', disabled: '', alt: '' });
  assert.equal(element.listeners.click, press);
  assert.deepEqual([element.children.length, element.children[0]], [2, 'Words']);
});

test('numbers are set in threes', () => {
  const plain = (n) => count(n).replaceAll('\u2009', ' ');
  assert.deepEqual([0, 999, 1000, 12345, 1234567].map(plain), ['0', '999', '1 000', '12 345', '1 234 567']);
});

test('scores have two digits, places latitude first, days no time', () => {
  assert.deepEqual([score(1), score(-0.005)], ['1.00', '-0.01']);
  assert.equal(place(-122.1234567, 37.5), '37.50000, -122.12346');
  assert.deepEqual([day('2024-05-01T10:00:00Z'), day(null), day('')], ['2024-05-01', 'no date', 'no date']);
});

test('a box is measured on the ground: narrower away from the equator', () => {
  assert.equal(extent([0, 0, 0.001, 0.001]), '111 m × 111 m');
  assert.equal(extent([10, 59.5, 11, 60.5]), '55.6 km × 111.2 km');
  assert.equal(extent([179.5, 0, 180.5, 1]), '111.2 km × 111.2 km');
});

test('the best result is yellow, the last a warm red, a single one yellow', () => {
  assert.equal(rankColour(1, 10), 'rgb(255, 228, 92)');
  assert.equal(rankColour(10, 10), 'rgb(244, 105, 74)');
  assert.equal(rankColour(1, 1), 'rgb(255, 228, 92)');
  assert.equal(new Set(Array.from({ length: 20 }, (_, k) => rankColour(k + 1, 20))).size, 20);
});

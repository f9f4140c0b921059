// Elements, and buttons that are nothing but an icon.
import assert from 'node:assert/strict';
import test from 'node:test';

import './page.mjs';
import { h, iconButton } from '../../assets/shared/dom.js';

test('an element has its attributes, listeners and children; what is missing is left out', () => {
  const press = () => {};
  const attributes = { class: 'x', disabled: true, hidden: false, title: null, alt: '', onclick: press };
  const element = h('button', attributes, 'Words', null, undefined, h('b'));
  assert.deepEqual(element.attributes, { class: 'x', disabled: '', alt: '' });
  assert.equal(element.listeners.click, press);
  assert.deepEqual([element.children.length, element.children[0]], [2, 'Words']);
});

test('a button with nothing but an icon says in words what it does', () => {
  const { attributes } = iconButton('clear', 'Dismiss', () => {});
  assert.deepEqual([attributes['aria-label'], attributes.title], ['Dismiss', 'Dismiss']);
  const titled = iconButton('undo', 'Undo', () => {}, { title: 'Undo (U)', class: null });
  assert.deepEqual(titled.attributes, { type: 'button', title: 'Undo (U)', 'aria-label': 'Undo' });
});

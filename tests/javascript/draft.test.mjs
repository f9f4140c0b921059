// What the Area page keeps in the browser, and how it tells the server.
import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';

import { keepDraft, keepShape } from '../../assets/area/draft.js';
import { waitingFor } from '../../assets/shared/idle.js';
import { createTelling } from '../../assets/area/messages.js';

const EMPTY = { stride: 256 };
const DRAFT = { stride: 64, shape: { type: 'Polygon' } };
const kept = () => JSON.parse(sessionStorage.getItem('lookalike:area'));

// A page that keeps what it told; `hear` answers it.
function page(heard = 0) {
  const sent = [];
  const send = (name, content) => sent.push({ name, ...content });
  const telling = createTelling(send, { page: 'area', heard });
  return { telling, sent };
}

beforeEach(() => {
  globalThis.location = { pathname: '/base/area' };
  const items = new Map();
  globalThis.sessionStorage = {
    getItem: (key) => items.get(key) ?? null,
    setItem: (key, value) => items.set(key, value),
  };
});

test('a session keeps its own choices', () => {
  const { telling, sent } = page();
  keepDraft({ session: 'a', draft: EMPTY, restores: true }, telling);
  keepDraft({ session: 'a', draft: DRAFT, restores: true }, telling);
  assert.deepEqual(kept(), { session: 'a', draft: DRAFT });
  assert.deepEqual(sent, []);
});

test('a new session is told what the older one left, which stays until it has been taken', () => {
  keepDraft({ session: 'a', draft: DRAFT, restores: true }, page().telling);
  const { telling, sent } = page();
  keepDraft({ session: 'b', draft: EMPTY, restores: true }, telling);
  keepDraft({ session: 'b', draft: EMPTY, restores: true }, telling);
  assert.deepEqual(sent, [{ name: 'restore', draft: DRAFT, number: 1 }]);
  assert.deepEqual(kept(), { session: 'a', draft: DRAFT });
  telling.hear(1);
  keepDraft({ session: 'b', draft: DRAFT, restores: false }, telling);
  assert.deepEqual(kept(), { session: 'b', draft: DRAFT });
});

test('a map that is drawn anew before it was heard tells it again', () => {
  keepDraft({ session: 'a', draft: DRAFT, restores: true }, page().telling);
  const first = page();
  keepDraft({ session: 'b', draft: EMPTY, restores: true }, first.telling);
  first.telling.end();
  const second = page();
  keepDraft({ session: 'b', draft: EMPTY, restores: true }, second.telling);
  assert.deepEqual(second.sent, [{ name: 'restore', draft: DRAFT, number: 1 }]);
  second.telling.end();
});

test('a session that began with a collection keeps that instead', () => {
  keepDraft({ session: 'a', draft: DRAFT, restores: true }, page().telling);
  const { telling, sent } = page();
  keepDraft({ session: 'b', draft: EMPTY, restores: false }, telling);
  assert.deepEqual(sent, []);
  assert.deepEqual(kept(), { session: 'b', draft: EMPTY });
});

test('a drawing is kept before the server has it', () => {
  keepShape({ type: 'Polygon' }); // nothing kept yet, nothing to add it to
  keepDraft({ session: 'a', draft: EMPTY, restores: true }, page().telling);
  keepShape({ type: 'Polygon' });
  assert.deepEqual(kept(), { session: 'a', draft: { ...EMPTY, shape: DRAFT.shape } });
});

test('a run that began before a drawing does not take it back', () => {
  const { telling } = page();
  keepDraft({ session: 'a', draft: DRAFT, restores: true }, telling);
  keepShape({ type: 'MultiPolygon' });
  telling.tell('drawn', { geometry: { type: 'MultiPolygon' } });
  telling.hear(0);
  keepDraft({ session: 'a', draft: { ...DRAFT, stride: 128 }, restores: true }, telling);
  const drawn = { stride: 128, shape: { type: 'MultiPolygon' } };
  assert.deepEqual(kept(), { session: 'a', draft: drawn });
  telling.hear(1);
  keepDraft({ session: 'a', draft: DRAFT, restores: true }, telling); // the server may change it
  assert.deepEqual(kept(), { session: 'a', draft: DRAFT });
});

test('what was missed is told again under its number, and waited for until it is heard', () => {
  const { telling, sent } = page(4);
  telling.tell('drawn', { geometry: null });
  telling.hear(4);
  assert.deepEqual(sent, Array(2).fill({ name: 'drawn', geometry: null, number: 5 }));
  assert.deepEqual(waitingFor(), ['drawn, told']);
  telling.hear(5);
  assert.deepEqual(waitingFor(), []);
});

test('a page that Back has left tells nothing more', () => {
  const { telling, sent } = page();
  telling.tell('drawn', { geometry: 1 });
  location.pathname = '/jobs';
  telling.hear(0);
  telling.tell('drawn', { geometry: 2 });
  assert.deepEqual(sent, [{ name: 'drawn', geometry: 1, number: 1 }]);
  assert.deepEqual(waitingFor(), []);
});

// What the Area page keeps in the browser, and how it tells the server.
import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';

import { keepDraft, keepShape } from '../../assets/area/draft.js';
import { waitingFor } from '../../assets/shared/idle.js';
import { createMessages } from '../../assets/area/messages.js';

const EMPTY = { stride: 256 };
const DRAFT = { stride: 64, quality: 'thorough', shape: { type: 'Polygon' } };
const kept = () => JSON.parse(sessionStorage.getItem('lookalike:area'));

// A page that keeps what it told; `acknowledge` answers it.
function page(heard = 0) {
  const sent = [];
  const send = (name, content) => sent.push({ name, ...content });
  const messages = createMessages(send, { page: 'area', heard });
  return { messages, sent };
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
  const { messages, sent } = page();
  keepDraft({ session: 'a', draft: EMPTY, restores: true }, messages);
  keepDraft({ session: 'a', draft: DRAFT, restores: true }, messages);
  assert.deepEqual(kept(), { session: 'a', draft: DRAFT });
  assert.deepEqual(sent, []);
});

test('a new session is told what the older one left, which stays until it has been taken', () => {
  keepDraft({ session: 'a', draft: DRAFT, restores: true }, page().messages);
  const { messages, sent } = page();
  keepDraft({ session: 'b', draft: EMPTY, restores: true }, messages);
  keepDraft({ session: 'b', draft: EMPTY, restores: true }, messages);
  assert.deepEqual(sent, [{ name: 'restore', draft: DRAFT, number: 1 }]);
  assert.deepEqual(kept(), { session: 'a', draft: DRAFT });
  messages.acknowledge(1);
  keepDraft({ session: 'b', draft: DRAFT, restores: false }, messages);
  assert.deepEqual(kept(), { session: 'b', draft: DRAFT });
});

test('a map that is drawn anew before it was heard tells it again', () => {
  keepDraft({ session: 'a', draft: DRAFT, restores: true }, page().messages);
  const first = page();
  keepDraft({ session: 'b', draft: EMPTY, restores: true }, first.messages);
  first.messages.stop();
  const second = page();
  keepDraft({ session: 'b', draft: EMPTY, restores: true }, second.messages);
  assert.deepEqual(second.sent, [{ name: 'restore', draft: DRAFT, number: 1 }]);
  second.messages.stop();
});

test('a session that began with a collection keeps that instead', () => {
  keepDraft({ session: 'a', draft: DRAFT, restores: true }, page().messages);
  const { messages, sent } = page();
  keepDraft({ session: 'b', draft: EMPTY, restores: false }, messages);
  assert.deepEqual(sent, []);
  assert.deepEqual(kept(), { session: 'b', draft: EMPTY });
});

test('a drawing is kept before the server has it', () => {
  keepShape({ type: 'Polygon' }); // nothing kept yet, nothing to add it to
  keepDraft({ session: 'a', draft: EMPTY, restores: true }, page().messages);
  keepShape({ type: 'Polygon' });
  assert.deepEqual(kept(), { session: 'a', draft: { ...EMPTY, shape: DRAFT.shape } });
});

test('a run that began before a drawing does not take it back', () => {
  const { messages } = page();
  keepDraft({ session: 'a', draft: DRAFT, restores: true }, messages);
  keepShape({ type: 'MultiPolygon' });
  messages.send('drawn', { geometry: { type: 'MultiPolygon' } });
  messages.acknowledge(0);
  keepDraft({ session: 'a', draft: { ...DRAFT, stride: 128 }, restores: true }, messages);
  const drawn = { ...DRAFT, stride: 128, shape: { type: 'MultiPolygon' } };
  assert.deepEqual(kept(), { session: 'a', draft: drawn });
  messages.acknowledge(1);
  keepDraft({ session: 'a', draft: DRAFT, restores: true }, messages); // the server may change it
  assert.deepEqual(kept(), { session: 'a', draft: DRAFT });
});

test('what was missed is told again under its number, and waited for until it is heard', () => {
  const { messages, sent } = page(4);
  messages.send('drawn', { geometry: null });
  messages.acknowledge(4);
  assert.deepEqual(sent, Array(2).fill({ name: 'drawn', geometry: null, number: 5 }));
  assert.deepEqual(waitingFor(), ['drawn, sent']);
  messages.acknowledge(5);
  assert.deepEqual(waitingFor(), []);
});

test('a page that Back has left tells nothing more', () => {
  const { messages, sent } = page();
  messages.send('drawn', { geometry: 1 });
  location.pathname = '/jobs';
  messages.acknowledge(0);
  messages.send('drawn', { geometry: 2 });
  assert.deepEqual(sent, [{ name: 'drawn', geometry: 1, number: 1 }]);
  assert.deepEqual(waitingFor(), []);
});

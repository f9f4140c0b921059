// Detectors: what a card says, and what is done with them.
import assert from 'node:assert/strict';
import test from 'node:test';

import './page.mjs';
import { createDetectorActions } from '../../assets/search/objects/detector_actions.js';
import { factsOf, warningsOf } from '../../assets/search/objects/detector_card.js';
import { createStore } from '../../assets/shared/store.js';

const CARD = {
  name: 'ponds', title: 'Ponds', object_size: 880, good: 12, bad: 10, created: '2026-01-02T03:04:05Z',
  origin: { collection: 'Lakes', gsd: 10, dates: ['2021-05-01', '2020-05-01'] },
  calibration: { accuracy: 0.955, marks: 22 }, warnings: ['Check its hits'], pictures: [],
};

test('a card says what it was trained on and how well it judges', () => {
  const facts = Object.fromEntries(factsOf(CARD));
  assert.equal(facts.Marks, '12 good, 10 bad');
  assert.equal(facts['Object size'], '880 m');
  assert.equal(facts['Trained on'], 'Lakes');
  assert.equal(facts.Resolution, '10 m per pixel');
  assert.match(facts['Image dates'], /2020.* to .*2021/);
  assert.match(facts['Cross-validation'], /^96% of 22 marks correct$/);
});

test('warnings are those for the collection, and that marks are too few for probabilities', () => {
  assert.deepEqual(warningsOf(CARD), ['Check its hits']);
  assert.equal(warningsOf({ ...CARD, calibration: null }).length, 2);
});

test('a removed detector can be restored, and a renamed one keeps its name where it is applied', async () => {
  const kept = new Map([['ponds', 'Ponds']]);
  const service = {
    detectors: async () => [...kept].map(([name, title]) => ({ name, title })),
    rename: async (name, title) => kept.set(name, title) && { name, title },
    remove: async (name) => kept.delete(name) && { token: `${name}.1` },
    restore: async () => kept.set('ponds', 'Lakes'),
  };
  const store = createStore({ detectors: [], detector: { name: 'ponds', title: 'Ponds' }, card: null, removed: null, problem: null });
  const actions = createDetectorActions({ store, service });
  await actions.renameDetector({ name: 'ponds' }, 'Lakes');
  assert.equal(store.state.detector.title, 'Lakes');
  await actions.removeDetector({ name: 'ponds', title: 'Lakes' });
  assert.deepEqual([store.state.detectors, store.state.removed.title], [[], 'Lakes']);
  await actions.restoreDetector();
  assert.deepEqual([store.state.detectors[0].title, store.state.removed], ['Lakes', null]);
});

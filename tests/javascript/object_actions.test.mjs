// Marks of objects: taken back, undone, and asked for.
import { openTab } from './page.mjs';
import { authorNamed, marksServer } from './marking.mjs';
import assert from 'node:assert/strict';
import test from 'node:test';

import { createObjectActions } from '../../assets/search/objects/actions.js';
import { markOf } from '../../assets/search/objects/place_marks.js';
import { createStore } from '../../assets/shared/store.js';

const found = { lon: 1, lat: 2, width_m: 4, height_m: 4, scene_id: 's', score: 0.9, mark: 'good' };

// Object search whose answer holds one object; `sent` are the labels that reached the server.
function page(asked = [], more = {}) {
  const sent = [];
  const server = marksServer();
  const service = {
    async mark(set, marks) {
      sent.push(...marks.map((mark) => mark.label));
      return server.mark(set, marks);
    },
    marks: server.marks,
    ask: async () => ({ objects: asked }),
    detectors: async () => [],
    savedSearches: async () => [],
    ...more,
  };
  const store = createStore({
    examples: [], objects: [found], shown: [found], minScore: 0, marks: new Map(), authors: new Map(), asked: [],
    judged: [], judging: false, exhausted: false, hideMarked: false, detector: null, unsent: 0,
    requestNumber: 0, most: 1000,
  });
  const data = { collection: { name: 'ponds', scenes: [] } };
  const actions = createObjectActions({ store, service, data, author: authorNamed('Ann') });
  const mark = () => markOf(found, store.state.marks);
  return { actions, sent, mark, service, state: store.state };
}

test('a mark that the answer already carries can be taken back', async () => {
  const { actions, mark, sent } = page();
  actions.mark(0, 'good');
  await actions.mark(0, 'good');
  assert.equal(mark(), '');
  await new Promise(setImmediate);
  assert.deepEqual(sent, ['good', '']);
});

test('more objects are asked for, and another thing starts with the first ones again', async () => {
  const asked = [];
  const find = async (recipe) => {
    asked.push(recipe);
    return { objects: [found], threshold: 0.5 };
  };
  const { actions, state } = page([], { find, progress: async () => ({}) });
  await actions.findMore();
  await actions.searchAt(1, 2);
  assert.deepEqual(asked.map((recipe) => recipe.k), [5000, 1000]);
  assert.equal(state.most, 1000);
});

test('undo leads back through each mark to that of the answer', () => {
  const { actions, mark } = page();
  actions.mark(0, 'bad');
  actions.mark(0, 'bad');
  assert.equal(mark(), '');
  actions.undo();
  assert.equal(mark(), 'bad');
  actions.undo();
  assert.equal(mark(), 'good');
});

test('a saved search brings its filters and its picture, and leaves those of before', async () => {
  const { actions, service, state } = page();
  const saved = (recipe) => ({
    search: { id: 's', name: 'Ponds', created: '2024-01-01T00:00:00Z', query: 'a picture', object_size: 4, recipe },
    objects: [],
  });
  service.savedSearch = async () => saved({ picture: 'p', away: 5 });
  await actions.openSaved('s');
  assert.deepEqual([state.picture, state.filters], ['p', { away: 5 }]);
  service.savedSearch = async () => saved({ at: [1, 2] });
  await actions.openSaved('s');
  assert.deepEqual([state.picture, state.filters], [null, {}]);
});

test('the tray says when nothing is left to judge', async () => {
  const none = page();
  await none.actions.openTray();
  assert.ok(none.state.exhausted);
  const some = page([found]);
  await some.actions.openTray();
  assert.ok(!some.state.exhausted);
  assert.deepEqual(some.state.asked, [found]);
});

// Waits until the requests that were made are answered.
const answered = () => new Promise((done) => setTimeout(done));

test('a link without marks is searched without those of what was looked for before', async () => {
  const listeners = {};
  Object.assign(globalThis, { addEventListener: (name, act) => (listeners[name] = act), removeEventListener() {} });
  const recipes = [];
  const find = async (recipe) => {
    recipes.push(recipe);
    return { objects: [found], threshold: 0.5, score_range: [0, 1], notes: [], missing: [] };
  };
  const { actions, state } = page([], { find });
  openTab('/search?collection=ponds&mode=objects&at=1,2,4');
  actions.begin();
  await answered();
  await actions.mark(0, 'good');
  await actions.refine();
  assert.ok(recipes.at(-1).marks);
  openTab('/search?collection=ponds&mode=objects&at=5,6,4');
  listeners.popstate();
  await answered();
  assert.deepEqual(recipes.at(-1).examples[0].at, [5, 6]);
  assert.equal(recipes.at(-1).marks, undefined);
  await actions.mark(0, 'bad');
  await actions.refine();
  assert.notEqual(recipes.at(-1).marks, recipes[1].marks);
  assert.equal(state.marks.size, 1);
});

test('a saved search that arrives late does not replace what was searched meanwhile', async () => {
  let arrive;
  const search = { id: 'a', name: 'Old', query: 'a pond', created: '2026-01-01T00:00:00Z', recipe: {}, object_size: 4 };
  const savedSearch = () => new Promise((done) => (arrive = () => done({ search, objects: [], check: { size: 0, estimates: [] } })));
  const find = async () => ({ objects: [found], threshold: 0.5, score_range: [0, 1], notes: [], missing: [] });
  const { actions, state } = page([], { savedSearch, find });
  openTab('/search?collection=ponds&mode=objects');
  const opening = actions.openSaved('a');
  await actions.searchAt(1, 2);
  arrive();
  await opening;
  assert.deepEqual(state.objects, [found]);
  assert.equal(state.saved, null);
});

test('a mark holds for one scene, not for another date of the same place', () => {
  const { actions, state } = page();
  actions.mark(0, 'bad');
  assert.equal(markOf({ ...found, scene_id: 'later', mark: '' }, state.marks), '');
});

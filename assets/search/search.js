// The Search page's component: one live explorer per mounted element; reruns only call update().
import { createAuthor } from '../shared/author.js';
import { h } from '../shared/dom.js';
import { isPage } from '../shared/history.js';
import { expose } from '../shared/idle.js';
import { linkedCollection } from '../shared/link.js';
import { collectionKey, createMount } from '../shared/mount.js';
import { DEFAULT_K } from '../shared/recipe.js';
import { createService } from '../shared/service.js';
import { createStore } from '../shared/store.js';
import { createActions } from './actions.js';
import { createControls } from './controls.js';
import { createFilters } from './filters.js';
import { createGallery } from './gallery.js';
import { createHelp } from './help.js';
import { createHints } from './hints.js';
import { listenToKeys } from './keyboard.js';
import { createMap } from './map.js';
import { keepMode, linkedMode, modeOf } from './mode_choice.js';
import { startObjects } from './objects/objects.js';

const INITIAL = {
  footprints: null, // of every chip, see map/footprints.js
  query: null, // { kind: chip | picture | box | examples, row?, chip?, picture?, box?, lon?, … }
  good: [], // ids of examples that are part of the query
  bad: [], // ids of examples it keeps away from
  examples: new Map(), // where those lie: id → { row, lon, lat }
  marks: {}, // "good" or "bad" by chip id; Refine makes them part of the query
  authors: {}, // whose they are, by chip id
  markSet: null, // id of their set on the server
  stored: false, // whether they are in it; those of links of before are not
  gone: [], // ids of marked chips that are no longer in the collection
  unsent: 0, // marks that the server does not have yet
  author: '', // by whom marks are given here
  hideMarked: false, // whether marked results are left out of the list
  past: [], // queries and marks before, for undo
  hits: [], // as the server ranked them
  sites: null, // overlapping hits as places, if asked for
  shown: [], // hits or sites of at least `minScore`, or marked good, that are not hidden
  page: 0, // of the gallery
  selected: -1, // place in `shown`
  hovered: -1, // place in `shown`
  cursor: null, // row of the chip under the pointer or the keyboard's cursor
  grid: true, // whether the chip grid is drawn
  heat: false, // whether every chip is coloured by its score
  inside: false, // whether the pictures show where inside them the match is
  merged: false, // whether overlapping hits are shown as sites
  panel: false, // whether the filters are open
  help: false, // whether the shortcuts are shown
  scores: null, // of every chip, Float32Array, NaN where filtered out
  away: false, // whether the map is zoomed to a result
  drawing: '', // what is being drawn on the map: box | polygon | keys (a box, by keys)
  busy: '', // what is being waited for, in words
  problem: null, // { title, detail, remedy } or an Error, such as a Refusal
  requestNumber: 0, // of the newest request for results
  answered: 0, // number of the request whose answer, or refusal, is shown
  summary: null, // { eligible, total, seconds }
  eligible: null, // how many chips the filters admit while there is no query
  saved: null, // { state: asking | saving | done, name, id }
  reopened: null, // the saved search whose hits are shown as they were, see reopened.js
  options: { k: DEFAULT_K, suppress: true, any_orientation: false, any_scale: false, ranking: 'default' },
  filters: {}, // within, scenes, since, until, max_nodata, min_sharpness, away
  minScore: 0, // the lowest score that is shown
};

export const mount = createMount('.lk-explorer', start, collectionKey);

// The view of the mode that was chosen last; switching replaces it in the same element.
function start(root, data, send) {
  const { name } = data.collection;
  const chosen = (other) => send('collection', other);
  let view = null;
  const begin = (mode) => {
    keepMode(name, mode);
    root.dataset.mode = mode;
    view = mode === 'objects' ? startObjects(root, data, chosen, onMode) : startPlaces(root, data, chosen, onMode);
  };
  const change = (mode) => {
    view.stop();
    empty(root);
    begin(mode);
  };
  const onMode = (mode) => {
    history.pushState(history.state, '', `?${new URLSearchParams({ collection: name })}`);
    change(mode);
  };
  // Back and Forward may lead to the other mode: this is asked before the views are.
  const onStep = (step) => {
    const mode = linkedMode();
    if (!isPage('search') || linkedCollection() !== name || mode === root.dataset.mode) return;
    step.preventDefault();
    step.stopImmediatePropagation();
    change(mode);
  };
  addEventListener('lookalike:travel', onStep);
  begin(modeOf(data));
  return {
    update() {
      root.querySelector('.lk-collection select').value = name; // another choice was taken back
    },
    stop() {
      removeEventListener('lookalike:travel', onStep);
      view.stop();
    },
  };
}

// The element as the page made it.
function empty(root) {
  const label = root.querySelector('.lk-map').getAttribute('aria-label');
  const map = h('div', { class: 'lk-map', role: 'application', 'aria-label': label });
  root.querySelector('.lk-map-pane').replaceChildren(map);
  const filters = root.querySelector('.lk-filters');
  filters.replaceChildren();
  filters.hidden = true;
}

function startPlaces(root, data, chosen, onMode) {
  const { name } = data.collection;
  const store = createStore(INITIAL);
  const onName = (before, after) => {
    store.set({ author: after });
    context.actions.renamed(before, after);
  };
  const service = createService(data.base, name);
  const author = createAuthor({ root, person: data.person, onName });
  const context = { data, store, service, root, onMode, author };
  store.set({ author: author.name() });
  context.actions = createActions(context);
  context.onCollection = (other) => {
    context.actions.leave();
    chosen(other);
  };
  context.map = createMap(context);
  const parts = [
    context.map,
    createControls(context),
    createFilters(context),
    createGallery(context),
    createHelp(context),
    createHints(context),
    listenToKeys(context),
  ];
  context.actions.begin();
  root.dataset.state = 'live';
  expose({ store, map: context.map });
  return {
    stop() {
      context.actions.stop();
      author.stop();
      for (const part of parts) part.stop();
    },
  };
}

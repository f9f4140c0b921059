// The Search page's component: one live explorer per mounted element; reruns only call update().
import { createActions } from './actions.js';
import { createControls } from './controls.js';
import { createGallery } from './gallery.js';
import { listenToKeys } from './keyboard.js';
import { createMap } from './map.js';
import { createService } from './service.js';
import { createStore } from './store.js';

const INITIAL = {
  footprints: null, // of every chip, see footprints.js
  query: null, // { kind, row?, chip?, picture?, lon?, lat?, datetime? }
  hits: [], // as the server ranked them
  shown: [], // hits at or above the least score
  selected: -1, // place in `shown`
  hovered: -1, // place in `shown`
  cursor: null, // row of the chip under the pointer or the keyboard's cursor
  grid: true, // whether the chip grid is drawn
  away: false, // whether the map is zoomed to a result
  busy: '', // what is being waited for, in words
  trouble: null, // { title, detail, remedy }
  summary: null, // { eligible, total, seconds }
  options: { k: 10, suppress: true },
  least: 0, // least score shown
};

const explorers = new WeakMap();

// Called at first and on every rerun; returns what to do when the element goes away.
export function mount({ data, parentElement, setTriggerValue }) {
  const root = parentElement.querySelector('.lk-explorer');
  const live = explorers.get(root);
  if (live && live.name === data.collection.name && live.version === data.collection.version) {
    return live.stop;
  }
  live?.stop();
  const explorer = start(root, data, (name) => setTriggerValue('collection', name));
  explorers.set(root, explorer);
  return explorer.stop;
}

function start(root, data, onCollection) {
  const { name, version } = data.collection;
  const store = createStore(INITIAL);
  const service = createService(data.base, name);
  const context = { data, store, service, root, onCollection };
  context.actions = createActions(context);
  context.map = createMap(context);
  const parts = [
    context.map,
    createControls(context),
    createGallery(context),
    listenToKeys(context),
  ];
  context.actions.begin();
  root.dataset.state = 'live';
  window.lookalike = { store, map: context.map }; // for tests and for the curious
  const stop = () => {
    if (explorers.get(root)?.store !== store) return;
    explorers.delete(root);
    context.actions.stop();
    for (const part of parts) part.stop();
  };
  return { name, version, store, stop };
}

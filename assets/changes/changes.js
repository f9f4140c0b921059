// The Changes page's component: what a query shows, on two dates; three layers and three galleries.
import { readFootprints } from '../map/footprints.js';
import { download } from '../shared/download.js';
import { isPage } from '../shared/history.js';
import { expose } from '../shared/idle.js';
import { readLink } from '../shared/link.js';
import { collectionKey, createMount } from '../shared/mount.js';
import { recipeOf } from '../shared/recipe.js';
import { createService } from '../shared/service.js';
import { createStore } from '../shared/store.js';
import { createChangesControls } from './controls.js';
import { DEFAULT_PLACES, MAX_PLACES } from './kinds.js';
import { createChangesList } from './list.js';
import { createChangesMap } from './map.js';

const WRITING = 'Writing the GeoJSON…';
const INITIAL = {
  footprints: null, // of every chip, see map/footprints.js
  found: null, // appeared, disappeared and persists, as the server ranked them
  selected: null, // { kind, at } of a place in `found`
  hidden: [], // kinds that the map does not show
  busy: '', // what is being waited for, in words
  problem: null, // { title, detail, remedy } or an Error, such as a Refusal
};
export const mount = createMount('.lk-changes', start, collectionKey);

function start(root, data, send) {
  const { name, version } = data.collection;
  const service = createService(data.base, name);
  const store = createStore({ ...INITIAL, ...readAddress(name, data.days) });
  let running = null;

  function recipe() {
    const { query, good, bad, options, before, after, threshold } = store.state;
    const start = recipeOf({ query, good, bad, options, filters: {} });
    return { ...start, before, after, ...(threshold === null ? {} : { threshold }) };
  }

  async function compare() {
    running?.abort();
    writeAddress(name, store.state);
    if (!store.state.query) return store.set({ found: null, selected: null, busy: '' });
    const mine = (running = new AbortController());
    store.set({ busy: 'Comparing…', problem: null, selected: null });
    try {
      const found = await service.changes(recipe(), mine.signal);
      if (mine !== running) return undefined;
      return store.set({ found, query: { ...store.state.query, ...found.query }, busy: '' });
    } catch (refusal) {
      if (refusal.name === 'AbortError') return undefined;
      return store.set({ problem: refusal, found: null, busy: '' });
    }
  }

  const actions = {
    set(changes) {
      writeAddress(name, { ...store.state, ...changes }); // before the card that links to it is drawn
      store.set(changes);
      return compare();
    },
    setOption: (change) => actions.set({ options: { ...store.state.options, ...change } }),
    // Dates run forwards; the same day twice is no comparison.
    setDays(changed) {
      let { before, after } = { ...store.state, ...changed };
      if (before === after) {
        const other = data.days.filter((day) => day !== before);
        if (changed.before) after = other.find((day) => day > before) || other.at(-1);
        else before = other.findLast((day) => day < after) || other[0];
      }
      [before, after] = [before, after].sort();
      store.set({ pictured: store.state.pictured === store.state.before ? before : after });
      return actions.set({ before, after });
    },
    // Looks for what the picture on the map shows here.
    async pick(lon, lat) {
      store.set({ busy: 'Finding the chip…', problem: null });
      try {
        const chip = await service.chipAt(lon, lat, store.state.pictured);
        const query = { kind: 'chip', ...chip, chip: chip.id };
        return actions.set({ query, good: [], bad: [], threshold: null });
      } catch (refusal) {
        return store.set({ problem: refusal, busy: '' });
      }
    },
    clear: () => actions.set({ query: null, good: [], bad: [], threshold: null }),
    onCollection: (other) => send('collection', other),
    onCompare: compare,
    // All three layers as one file for a GIS.
    async download() {
      if (store.state.busy) return; // one at a time
      store.set({ busy: WRITING });
      try {
        const file = `${name}_${store.state.before}_${store.state.after}.geojson`;
        download(await service.changesFile(recipe()), file);
      } catch (refusal) {
        store.set({ problem: refusal });
      } finally {
        if (store.state.busy === WRITING) store.set({ busy: '' });
      }
    },
  };
  const context = { root, data, store, service, actions };
  const map = createChangesMap(context);
  const parts = [map, createChangesControls(context), createChangesList({ ...context, map })];
  service.footprints(version).then(
    (buffer) => store.set({ footprints: readFootprints(buffer) }),
    (refusal) => store.set({ problem: refusal }),
  );
  compare();
  root.dataset.state = 'live';
  expose({ store, map, actions });
  return {
    stop() {
      running?.abort();
      for (const part of parts) part.stop();
    },
  };
}

// What the address asks for; without a query the one that Search showed last.
function readAddress(name, days) {
  const fields = new URLSearchParams(location.search);
  const { query, good, bad, options } = readLink(name);
  const { any_orientation, any_scale, ranking } = options;
  const day = (field, otherwise) => (days.includes(fields.get(field)) ? fields.get(field) : otherwise);
  const [before, after] = [day('before', days[0]), day('after', days.at(-1))];
  const sound = before < after;
  const threshold = Number.parseFloat(fields.get('threshold'));
  const k = Number.parseInt(fields.get('k'), 10);
  return {
    query,
    good,
    bad,
    before: sound ? before : days[0],
    after: sound ? after : days.at(-1),
    pictured: sound ? after : days.at(-1), // the day whose picture the map shows
    options: {
      k: fields.has('before') && k >= 1 && k <= MAX_PLACES ? k : DEFAULT_PLACES,
      any_orientation,
      any_scale,
      ranking,
    },
    threshold: threshold >= -1 && threshold <= 1 ? threshold : null,
  };
}

function writeAddress(name, { query, good, bad, options, before, after, threshold }) {
  const fields = new URLSearchParams({ collection: name, before, after });
  const set = (field, value) => value && fields.set(field, value);
  set('chip', query?.chip);
  set('picture', query?.picture);
  set('box', query?.box?.join());
  set('good', good.join());
  set('bad', bad.join());
  if (options.k !== DEFAULT_PLACES) fields.set('k', options.k);
  set('turned', options.any_orientation && '1');
  set('scaled', options.any_scale && '1');
  set('ranking', query && options.ranking === 'default' && 'default');
  if (threshold !== null) fields.set('threshold', threshold);
  // After Back the address may be another page's while this one is still shown.
  if (isPage('changes')) history.replaceState(history.state, '', `${location.pathname}?${fields}`);
}

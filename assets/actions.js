// What a person can do: every change of the state that is not just drawing.
import { chipAt, nearest, neighbour, readFootprints } from './footprints.js';
import { readLink, writeLink } from './link.js';
import { createMarks } from './marks.js';
import { recipeOf, shownOf } from './recipe.js';
import { savedState } from './reopened.js';

const MANY_SCORES = 400_000; // above this the scores of all chips are fetched only for the heatmap
const PAGE = 60; // results on one page of the gallery

export function createActions({ data, store, service, root }) {
  const { collection } = data;
  const { state } = store;
  let running = null; // the search under way, to cancel it
  let scoring = null; // the request for all scores, likewise
  let counting = null;
  let warmed = false;
  let stopped = false;
  const link = () => writeLink(collection.name, state);

  async function begin() {
    const { query, saved, ...rest } = readLink(collection.name);
    store.set(rest);
    if (saved) reopen(saved);
    else if (query) run({ query });
    else countEligible();
    await loadFootprints(); // first what is seen, then the seconds of warming
    if (!stopped) await warmIndex();
  }

  async function loadFootprints() {
    try {
      const buffer = await service.footprints(collection.version);
      if (!stopped) store.set({ footprints: readFootprints(buffer) });
    } catch (refusal) {
      fail(refusal);
    }
  }

  async function warmIndex() {
    const slow = setTimeout(() => !running && store.set({ busy: 'Warming the index…' }), 150);
    try {
      await service.warm();
      warmed = true;
    } catch (refusal) {
      fail(refusal);
    } finally {
      clearTimeout(slow);
      if (!running) store.set({ busy: '' });
    }
  }

  // A saved search with its hits as they were: nothing is searched.
  async function reopen(id) {
    store.set({ busy: 'Opening the saved search…' });
    try {
      const saved = await service.saved(id);
      if (running || stopped) return;
      if (saved.version !== collection.version) return location.reload();
      store.set({ ...savedState(saved, state), busy: '' });
      link();
      if (state.heat || saved.total <= MANY_SCORES) fetchScores();
    } catch (refusal) {
      if (running || stopped) return;
      fail(refusal);
      link();
    }
  }

  // The reopened search on the collection as it is now.
  function searchAgain() {
    run({ least: state.reopened.least }, true);
  }

  // Runs a search after these changes of the query.  A quiet one leaves what is shown in its place
  // until the answer is there.
  async function run(changes, quiet = false) {
    running?.abort();
    scoring?.abort();
    const mine = (running = new AbortController());
    const { query: before, reopened } = state;
    store.set({
      ...changes,
      ...(quiet ? {} : { hits: [], sites: null, shown: [], page: 0, scores: null, summary: null }),
      ...(quiet ? {} : { selected: -1, hovered: -1 }),
      saved: null,
      reopened: null,
      trouble: null,
      busy: warmed ? 'Searching…' : 'Warming the index, then searching…',
    });
    try {
      const answer = await service.search(recipeOf(state), state.merged, mine.signal);
      if (running !== mine || stopped) return;
      running = null;
      accept(answer);
    } catch (refusal) {
      if (running !== mine || stopped) return;
      running = null;
      store.set(quiet ? { query: before, reopened } : { query: null });
      fail(refusal);
      link();
    }
  }

  function accept({ query, examples, hits, sites, eligible, total, seconds, version }) {
    if (version !== collection.version) return location.reload(); // it was rebuilt meanwhile
    warmed = true;
    const chosen = state.shown[state.selected]?.id;
    const shown = shownOf({ ...state, hits, sites });
    const selected = chosen ? shown.findIndex(({ id }) => id === chosen) : -1;
    store.set({
      query,
      examples: new Map(examples.map((example) => [example.id, example])),
      hits,
      sites,
      shown,
      selected,
      page: Math.min(state.page, Math.max(0, Math.ceil(shown.length / PAGE) - 1)),
      summary: { eligible, total, seconds },
      busy: '',
    });
    link();
    if (state.heat || total <= MANY_SCORES) fetchScores();
  }

  async function fetchScores() {
    scoring?.abort();
    if (!state.query) return;
    const mine = (scoring = new AbortController());
    try {
      const buffer = await service.scores(recipeOf(state), mine.signal);
      if (scoring === mine && !stopped) store.set({ scores: new Float32Array(buffer) });
    } catch (refusal) {
      if (scoring === mine && !stopped && state.heat) fail(refusal);
    }
  }

  function fail(refusal) {
    store.set({ busy: '', trouble: refusal });
  }

  // Something new to look for.
  function search({ row, ...start }) {
    marks.remember();
    const kind = start.file || start.picture ? 'picture' : start.box ? 'box' : 'chip';
    const query = { kind, row, ...start };
    run({ query, good: [], bad: [], marks: {}, examples: new Map() });
  }

  // The same query again, after an option changed.
  function repeat() {
    if (state.query) run({}, true);
    else link();
  }

  function rowAt(lon, lat) {
    const { footprints } = state;
    return footprints ? chipAt(footprints, lon, lat) : undefined;
  }

  function searchAt(lon, lat) {
    const row = rowAt(lon, lat);
    if (row !== null) search({ at: [lon, lat], row });
  }

  function searchHit(place) {
    const hit = state.shown[place];
    if (hit) search({ chip: hit.id, row: hit.row });
  }

  const cursorPlace = () => {
    const { footprints, cursor } = state;
    if (!footprints || cursor === null) return null;
    return [footprints.centres[cursor * 2], footprints.centres[cursor * 2 + 1]];
  };

  function searchCursor() {
    const at = cursorPlace();
    if (at) search({ at, row: state.cursor });
  }

  // One more example, or one less: the chip at a point.
  async function exampleAt(lon, lat) {
    if (!state.query) return searchAt(lon, lat);
    if (rowAt(lon, lat) === null) return undefined;
    try {
      return marks.example(await service.chipAt(lon, lat));
    } catch (refusal) {
      return fail(refusal);
    }
  }

  function clear() {
    if (state.query) marks.remember();
    running?.abort();
    scoring?.abort();
    running = null;
    store.set({
      query: null,
      good: [],
      bad: [],
      marks: {},
      examples: new Map(),
      hits: [],
      sites: null,
      shown: [],
      page: 0,
      selected: -1,
      hovered: -1,
      cursor: null,
      scores: null,
      summary: null,
      saved: null,
      reopened: null,
      trouble: null,
      busy: '',
    });
    link();
    countEligible();
  }

  function select(place) {
    const { shown } = state;
    if (!shown.length) return;
    const selected = Math.max(0, Math.min(place, shown.length - 1));
    store.set({ selected, page: Math.floor(selected / PAGE) });
  }

  function turnTo(page) {
    store.set({ page, hovered: -1 });
    root.querySelector('.lk-gallery').scrollTop = 0;
    link();
  }

  // Steps through results, or, before there are any, moves the cursor from chip to chip.
  function step([east, north], centre) {
    const { shown, selected, footprints, cursor } = state;
    if (shown.length) {
      const columns = north ? columnsOf(root) : 1;
      return select(selected < 0 ? state.page * PAGE : selected + (east || -north) * columns);
    }
    if (!footprints?.total) return undefined;
    const next =
      cursor === null
        ? nearest(footprints, centre.lng, centre.lat)
        : neighbour(footprints, cursor, [east, north]);
    return store.set({ cursor: next });
  }

  function setOption(change) {
    store.set({ options: { ...state.options, ...change } });
    repeat();
  }

  // Blank values take a filter away.
  function setFilters(change) {
    const filters = { ...state.filters, ...change };
    for (const [name, value] of Object.entries(filters)) {
      if (value === null || value === '' || value?.length === 0) delete filters[name];
    }
    store.set({ filters });
    repeat();
    countEligible();
  }

  // Before there is a query: how many chips the filters leave.
  async function countEligible() {
    clearTimeout(counting);
    if (state.query || !Object.keys(state.filters).length) return store.set({ eligible: null });
    counting = setTimeout(async () => {
      try {
        const { eligible } = await service.eligible(state.filters);
        if (!stopped) store.set({ eligible });
      } catch (refusal) {
        if (!stopped) fail(refusal);
      }
    }, 200);
    return undefined;
  }

  // `done` once the hand has let go of the cut.
  function setLeast(least, done = false) {
    const { shown, selected } = state;
    const kept = shownOf({ ...state, least });
    const chosen = shown[selected]?.id;
    store.set({
      least,
      shown: kept,
      page: 0,
      selected: chosen ? kept.findIndex(({ id }) => id === chosen) : -1,
      hovered: -1,
    });
    link();
    if (done && state.merged) repeat();
  }

  function merge(merged) {
    store.set({ merged, selected: -1, hovered: -1, page: 0 });
    repeat();
  }

  function toggle(name) {
    store.set({ [name]: !state[name] });
    if (name === 'heat' && state.heat && !state.scores) fetchScores();
    link();
  }

  async function save(name) {
    store.set({ saved: { state: 'saving', name }, trouble: null });
    try {
      const recipe = recipeOf(state);
      if (state.least > 0) recipe.threshold = state.least;
      const { id, name: given } = await service.save(name, recipe, state.merged);
      if (!stopped) store.set({ saved: { state: 'done', name: given, id } });
    } catch (refusal) {
      store.set({ saved: { state: 'asking', name } });
      fail(refusal);
    }
  }

  function stop() {
    stopped = true;
    clearTimeout(counting);
    running?.abort();
    scoring?.abort();
  }

  const marks = createMarks({ store, run, clear, link });
  return {
    ...marks,
    begin,
    clear,
    exampleAt,
    exampleCursor: () => cursorPlace() && exampleAt(...cursorPlace()),
    merge,
    repeat,
    save,
    search,
    searchAgain,
    searchAt,
    searchCursor,
    searchHit,
    searchPicture: (file) => search({ file }),
    select,
    setFilters,
    setLeast,
    setOption,
    step,
    stop,
    toggle,
    turnTo,
  };
}

export const pagesOf = ({ shown }) => Math.max(1, Math.ceil(shown.length / PAGE));
export const onPage = ({ shown, page }) => shown.slice(page * PAGE, (page + 1) * PAGE);
export const firstOf = ({ page }) => page * PAGE;

function columnsOf(root) {
  const list = root.querySelector('.lk-cards');
  return list ? getComputedStyle(list).gridTemplateColumns.split(' ').length : 1;
}

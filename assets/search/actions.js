// What a person can do: every change of the state that is not just drawing.
import { chipAt, nearest, neighbour, readFootprints } from '../map/footprints.js';
import { createHistory } from '../shared/history.js';
import { later } from '../shared/idle.js';
import { linkedCollection, readLink, writeLink } from '../shared/link.js';
import { queryKey, recipeOf, shownResults } from '../shared/recipe.js';
import { createMarks } from './marks.js';
import { createMarksQueue } from './marks_queue.js';
import { PAGE } from './paging.js';
import { savedState } from './reopened.js';

const MANY_CHIPS = 400_000; // above this the scores of all chips are fetched only for the heatmap
// What a search changes.
const ON_SCREEN = [
  'query', 'good', 'bad', 'marks', 'authors', 'markSet', 'stored', 'gone', 'examples', 'past',
  'hits', 'sites', 'shown', 'page', 'scores', 'summary', 'selected', 'saved', 'reopened',
];
const AGAIN = 3000; // milliseconds until marks that did not come are asked for again
const pick = (from, keys) => Object.fromEntries(keys.map((key) => [key, from[key]]));

export function createActions({ data, store, service, root, author }) {
  const { collection } = data;
  const { state } = store;
  const queue = createMarksQueue({ data, service, store, author, onMarks: (set, answer) => marks.take(set, answer) });
  const seen = new Map(); // marks by their set, so that Back shows them at once
  let stopAsking = () => {};
  let running = null; // the search under way, to cancel it
  let before = null; // what was on screen when it began, to come back if it is refused
  let stepping = false; // whether its answer is a step of the browser's history
  let scoring = null; // the request for all scores, likewise
  let stopCounting = () => {};
  let warmed = false;
  let stopped = false;
  const isOurs = () => [null, collection.name].includes(linkedCollection());
  const steps = createHistory('search', onHistoryStep, isOurs);
  const answered = new Map(); // the server's queries by link key, so that Back keeps their places
  // While a search is under way the address stays with what is shown; another page's is not ours.
  const updateAddress = (step = false) =>
    running || !steps.ownsAddress() || writeLink(collection.name, state, step);

  async function begin() {
    const own = steps.ownsAddress() && isOurs(); // else Streamlit is about to show something else
    const { query, saved, ...rest } = withMarks(own ? readLink(collection.name) : {});
    store.set(rest);
    loadMarks();
    queue.send();
    if (saved) reopen(saved);
    else if (query) runSearch({ query }, { step: false, page: rest.page });
    else {
      if (own) updateAddress();
      countEligible();
    }
    await loadFootprints(); // first what is seen, then the seconds of warming
    if (!stopped) await warmIndex();
  }

  // Back and Forward among this collection's searches.
  function onHistoryStep() {
    const { heat, inside, panel, page, query, saved, hideMarked, ...rest } = withMarks(readLink(collection.name, false));
    if (query && !saved) {
      const known = answered.get(queryKey({ ...rest, query })) ?? query;
      runSearch({ ...rest, query: known }, { quiet: true, step: false, page });
      loadMarks();
      return;
    }
    if (saved) {
      const { marks: linked, authors, markSet, stored } = rest;
      store.set({ marks: linked, authors, markSet, stored, minScore: rest.minScore, page: 0, selected: -1 });
      reopen(saved);
      loadMarks();
      return;
    }
    resetSearch();
    store.set(rest);
    updateAddress();
    countEligible();
  }

  // What a link says of marks, with those of its set that are known here.
  function withMarks(link) {
    const { markSet } = link;
    const { marks: linked = {}, authors } = seen.get(markSet) ?? { marks: link.marks, authors: {} };
    return { ...link, marks: linked, authors, gone: [], stored: Boolean(markSet), markSet: markSet ?? queue.spare() };
  }

  // The marks of the set, as others may have changed them.
  async function loadMarks() {
    stopAsking();
    const { stored, markSet } = state;
    if (!stored) return;
    if (queue.unsentOf(markSet).length) {
      const known = Object.entries(state.marks);
      const kept = known.map(([chip, label]) => ({ chip, label, author: state.authors[chip] }));
      marks.take(markSet, { marks: kept, missing: [] });
      await queue.flushed();
    }
    try {
      const answer = await service.marks(markSet, 'chip');
      if (stopped || state.markSet !== markSet) return;
      marks.take(markSet, answer);
      const listed = new Set(state.hits.map(({ id }) => id));
      const good = Object.keys(state.marks).filter((id) => state.marks[id] === 'good');
      if (state.summary && !state.reopened && good.some((id) => !listed.has(id))) repeat();
    } catch (refusal) {
      if (stopped || state.markSet !== markSet) return;
      if (refusal.status === 404) return; // still on their way
      if (refusal.status >= 400 && refusal.status < 500) fail(refusal);
      else stopAsking = later('marks to be asked for again', AGAIN, loadMarks);
    }
  }

  // Shows what these changes leave of the results.
  function show(changes) {
    const chosen = state.shown[state.selected]?.id;
    const shown = shownResults({ ...state, ...changes });
    const same = shown.length === state.shown.length && shown.every(({ id }, k) => id === state.shown[k].id);
    const at = chosen ? shown.findIndex(({ id }) => id === chosen) : -1;
    // Where marked results are hidden, the next one takes the place of the one that was marked.
    const next = state.hideMarked && changes.marks ? Math.min(state.selected, shown.length - 1) : -1;
    const selected = at < 0 ? next : at;
    const last = Math.max(0, Math.ceil(shown.length / PAGE) - 1);
    store.set({ ...changes, ...(same ? {} : { shown, selected, hovered: -1, page: Math.min(state.page, last) }) });
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
    const quick = later('the index', 150, () => running || store.set({ busy: 'Loading the index…' }));
    try {
      await service.warm();
      warmed = true;
    } catch (refusal) {
      fail(refusal);
    } finally {
      quick();
      if (!running) store.set({ busy: '' });
    }
  }

  // A saved search with its hits as they were: nothing is searched.
  async function reopen(id) {
    const mine = beginRequest();
    store.set({ busy: 'Opening saved search…' });
    try {
      const saved = await service.saved(id);
      if (running !== mine || stopped) return;
      running = null;
      if (saved.version !== collection.version) return location.reload();
      store.set({ ...savedState(saved, state), answered: state.requestNumber, busy: '' });
      updateAddress();
      fetchScoresIfFew();
    } catch (refusal) {
      if (running !== mine || stopped) return;
      running = null;
      fail(refusal);
      updateAddress();
    }
  }

  // The reopened search on the collection as it is now.
  function searchAgain() {
    runSearch({ minScore: state.reopened.minScore }, { quiet: true });
  }

  // Aborts the running request and begins a new one.
  function beginRequest() {
    if (!running) before = pick(state, ON_SCREEN);
    running?.abort();
    scoring?.abort();
    store.set({ requestNumber: state.requestNumber + 1 });
    return (running = new AbortController());
  }

  // Runs a search after these changes of the query.  A quiet one leaves what is shown in its place
  // until the answer is there; a step is one that Back leads away from.
  async function runSearch(changes, { quiet = false, step = true, page = null } = {}) {
    stepping = step;
    const mine = beginRequest();
    store.set({
      ...changes,
      ...(quiet ? {} : { hits: [], sites: null, shown: [], page: 0, scores: null, summary: null }),
      ...(quiet ? {} : { selected: -1, hovered: -1 }),
      saved: null,
      reopened: null,
      problem: null,
      busy: warmed ? 'Searching…' : 'Loading the index, then searching…',
    });
    try {
      const answer = await service.search(recipeOf(state), state.merged, mine.signal);
      if (running !== mine || stopped) return;
      running = null;
      if (answer.version !== collection.version) return location.reload(); // rebuilt meanwhile
      showAnswer(answer, page ?? state.page);
      updateAddress(stepping);
      answered.set(queryKey(readLink(collection.name, false)), state.query);
    } catch (refusal) {
      if (running !== mine || stopped) return;
      running = null;
      store.set(before);
      if (state.query && !state.scores && state.summary) fetchScoresIfFew();
      fail(refusal);
      updateAddress();
    }
  }

  function showAnswer({ query, examples, hits, sites, eligible, total, seconds, gone, notes, by_chance: byChance }, page) {
    warmed = true;
    const chosen = state.shown[state.selected]?.id;
    const left = (ids) => ids.filter((id) => !gone.includes(id));
    const marks = gone.length ? pick(state.marks, left(Object.keys(state.marks))) : state.marks;
    const shown = shownResults({ ...state, hits, sites, marks });
    const selected = chosen ? shown.findIndex(({ id }) => id === chosen) : -1;
    store.set({
      query,
      marks,
      ...(gone.length ? { good: left(state.good), bad: left(state.bad), gone } : {}),
      examples: new Map(examples.map((example) => [example.id, example])),
      hits,
      sites,
      shown,
      selected,
      page: Math.min(page, Math.max(0, Math.ceil(shown.length / PAGE) - 1)),
      summary: { eligible, total, seconds, notes, byChance },
      answered: state.requestNumber,
      busy: '',
    });
    fetchScoresIfFew();
  }

  function fetchScoresIfFew() {
    if (state.heat || state.summary.total <= MANY_CHIPS) fetchScores();
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
    store.set({ busy: '', problem: refusal, ...(running ? {} : { answered: state.requestNumber }) });
  }

  // Something new to look for.
  function search({ row, ...start }) {
    const kind = start.file || start.picture ? 'picture' : start.box ? 'box' : 'chip';
    const query = { kind, row, ...start };
    runSearch({ query, good: [], bad: [], ...noMarks(), examples: new Map(), past: marks.undoSteps() });
  }

  // Another search has a set of its own.
  const noMarks = () => ({ marks: {}, authors: {}, markSet: queue.spare(), stored: false, gone: [] });

  // The same query again, after an option changed.
  function repeat() {
    if (state.query) runSearch({}, { quiet: true, step: Boolean(running) && stepping });
    else updateAddress();
  }

  function rowAt(lon, lat) {
    const { footprints } = state;
    return footprints ? chipAt(footprints, lon, lat) : undefined;
  }

  function searchAt(lon, lat) {
    const row = rowAt(lon, lat);
    if (row !== null) search({ at: [lon, lat], row });
  }

  function searchHit(index) {
    const hit = state.shown[index];
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
      return marks.toggleExample(await service.chipAt(lon, lat));
    } catch (refusal) {
      return fail(refusal);
    }
  }

  function clear() {
    const step = Boolean(state.query);
    if (step) store.set({ past: marks.undoSteps() });
    resetSearch();
    updateAddress(step);
    countEligible();
  }

  function resetSearch() {
    running?.abort();
    scoring?.abort();
    running = null;
    store.set({
      answered: state.requestNumber,
      query: null,
      good: [],
      bad: [],
      ...noMarks(),
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
      problem: null,
      busy: '',
    });
  }

  function select(index) {
    const { shown } = state;
    if (!shown.length) return;
    const selected = Math.max(0, Math.min(index, shown.length - 1));
    store.set({ selected, page: Math.floor(selected / PAGE) });
  }

  function turnTo(page) {
    store.set({ page, hovered: -1 });
    root.querySelector('.lk-gallery').scrollTop = 0;
    updateAddress();
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
  function countEligible() {
    stopCounting();
    if (state.query || !Object.keys(state.filters).length) return store.set({ eligible: null });
    stopCounting = later('the chips that filters leave', 200, async () => {
      try {
        const { eligible } = await service.eligible(state.filters);
        if (!stopped) store.set({ eligible });
      } catch (refusal) {
        if (!stopped) fail(refusal);
      }
    });
    return undefined;
  }

  // `done`: the slider was released.
  function setMinScore(minScore, done = false) {
    show({ minScore });
    store.set({ page: 0 });
    updateAddress();
    if (done && state.merged) repeat();
  }

  function merge(merged) {
    store.set({ merged, selected: -1, hovered: -1, page: 0 });
    repeat();
  }

  function toggle(name) {
    show({ [name]: !state[name] });
    if (name === 'heat' && state.heat && !state.scores) fetchScores();
    updateAddress();
  }

  async function save(name) {
    const saving = { state: 'saving', name };
    const shown = () => !stopped && state.saved === saving; // and no other search since
    store.set({ saved: saving, problem: null });
    try {
      const recipe = recipeOf(state);
      if (state.minScore > 0) recipe.threshold = state.minScore;
      if (state.stored) await queue.flushed();
      const kept = state.stored && !queue.unsentOf(state.markSet).length;
      const marked = kept ? { marks_set: state.markSet } : { marks: state.marks, author: author.name() };
      const { id, name: given } = await service.save(name, recipe, state.merged, marked);
      if (shown()) store.set({ saved: { state: 'done', name: given, id } });
    } catch (refusal) {
      if (shown()) store.set({ saved: { state: 'asking', name } });
      if (!stopped) fail(refusal);
    }
  }

  function stop() {
    stopped = true;
    steps.stop();
    stopCounting();
    stopAsking();
    stopRemembering();
    queue.stop();
    running?.abort();
    scoring?.abort();
  }

  const marks = createMarks({ store, runSearch, clear, updateAddress, show, queue, author });
  const stopRemembering = store.watch(['marks', 'authors', 'markSet'], (now) => {
    if (now.stored) seen.set(now.markSet, { marks: now.marks, authors: now.authors });
  });
  return {
    ...marks,
    renamed: queue.rename,
    begin,
    leave: steps.leave,
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
    setMinScore,
    setOption,
    step,
    stop,
    toggle,
    turnTo,
  };
}

function columnsOf(root) {
  const list = root.querySelector('.lk-cards');
  return list ? getComputedStyle(list).gridTemplateColumns.split(' ').length : 1;
}

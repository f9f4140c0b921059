// What a person can do: every change of the state that is not just drawing.
import { chipAt, nearest, neighbour, readFootprints } from './footprints.js';
import { readLink, writeLink } from './link.js';

export function createActions({ data, store, service, root }) {
  const { collection } = data;
  let running = null; // the search under way, to cancel it
  let warmed = false;
  let stopped = false;

  async function begin() {
    const link = readLink(collection.name);
    store.set({ options: { k: link.k, suppress: link.suppress }, least: link.least });
    if (link.query) search(link.query);
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

  // Runs a search; `query` is what the server takes, plus the row to highlight at once if known.
  async function search({ row, ...query }) {
    running?.abort();
    const mine = (running = new AbortController());
    const { state } = store;
    store.set({
      query: { kind: query.file || query.picture ? 'picture' : 'chip', row, ...query },
      hits: [],
      shown: [],
      selected: -1,
      hovered: -1,
      trouble: null,
      summary: null,
      busy: warmed ? 'Searching…' : 'Warming the index, then searching…',
    });
    try {
      const answer = await service.search(query, state.options, mine.signal);
      if (running !== mine || stopped) return;
      running = null;
      accept(answer);
    } catch (refusal) {
      if (running !== mine || stopped) return;
      running = null;
      store.set({ query: null });
      fail(refusal);
      writeLink(collection.name, store.state);
    }
  }

  function accept({ query, hits, eligible, total, seconds, version }) {
    if (version !== collection.version) return location.reload(); // it was rebuilt meanwhile
    warmed = true;
    store.set({
      query,
      hits,
      shown: above(hits, store.state.least),
      summary: { eligible, total, seconds },
      busy: '',
    });
    writeLink(collection.name, store.state);
  }

  function fail(refusal) {
    store.set({
      busy: '',
      trouble: { title: refusal.message, detail: refusal.detail, remedy: refusal.remedy },
    });
  }

  // The same query again, after an option changed.
  function repeat() {
    const { query } = store.state;
    if (!query) return writeLink(collection.name, store.state);
    const { chip, picture, row } = query;
    if (chip || picture) search(chip ? { chip, row } : { picture });
  }

  function searchAt(lon, lat) {
    const { footprints } = store.state;
    const row = footprints ? chipAt(footprints, lon, lat) : null;
    if (footprints && row === null) return;
    search({ at: [lon, lat], row });
  }

  function searchHit(place) {
    const hit = store.state.shown[place];
    if (hit) search({ chip: hit.id, row: hit.row });
  }

  function searchCursor() {
    const { footprints, cursor } = store.state;
    if (!footprints || cursor === null) return;
    search({
      at: [footprints.centres[cursor * 2], footprints.centres[cursor * 2 + 1]],
      row: cursor,
    });
  }

  function clear() {
    running?.abort();
    running = null;
    store.set({
      query: null,
      hits: [],
      shown: [],
      selected: -1,
      hovered: -1,
      cursor: null,
      summary: null,
      trouble: null,
      busy: '',
    });
    writeLink(collection.name, store.state);
  }

  function select(place) {
    const { shown } = store.state;
    if (!shown.length) return;
    store.set({ selected: Math.max(0, Math.min(place, shown.length - 1)) });
  }

  // Steps through results, or, before there are any, moves the cursor from chip to chip.
  function step([east, north], centre) {
    const { shown, selected, footprints, cursor } = store.state;
    if (shown.length) {
      const columns = north ? columnsOf(root) : 1;
      return select(selected < 0 ? 0 : selected + (east || -north) * columns);
    }
    if (!footprints?.total) return undefined;
    const next =
      cursor === null
        ? nearest(footprints, centre.lng, centre.lat)
        : neighbour(footprints, cursor, [east, north]);
    return store.set({ cursor: next });
  }

  function setOption(change) {
    store.set({ options: { ...store.state.options, ...change } });
    repeat();
  }

  function setLeast(least) {
    const { hits, shown, selected } = store.state;
    const kept = above(hits, least);
    store.set({
      least,
      shown: kept,
      selected: kept.indexOf(shown[selected]),
      hovered: -1,
    });
    writeLink(collection.name, store.state);
  }

  function stop() {
    stopped = true;
    running?.abort();
  }

  return {
    begin,
    clear,
    repeat,
    search,
    searchAt,
    searchCursor,
    searchHit,
    searchPicture: (file) => search({ file }),
    select,
    setLeast,
    setOption,
    step,
    stop,
  };
}

const above = (hits, least) => hits.filter((hit) => hit.score >= least);

function columnsOf(root) {
  const list = root.querySelector('.lk-cards');
  return list ? getComputedStyle(list).gridTemplateColumns.split(' ').length : 1;
}

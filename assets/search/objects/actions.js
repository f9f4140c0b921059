// What can be done in object search.
import { filtersIn } from '../../shared/link.js';
import { createMarksQueue } from '../marks_queue.js';
import { createDetectorActions } from './detector_actions.js';
import { createObjectExports } from './exports.js';
import { keepSize, keptSize, readObjectLink, writeObjectLink } from './link.js';
import { markOf, placeKey } from './place_marks.js';
import { stateOf } from './saved.js';
import { createFileActions, started } from './start.js';
import { waitFor } from './waiting.js';

// Objects of an answer at first, and when all are asked for.
export const FIRST = 1_000;
export const MOST = 5_000;

export function createObjectActions({ store, service, data, author }) {
  const { name } = data.collection;
  const { state, set } = store;
  const queue = createMarksQueue({ data, service, store, author, onMarks: takeMarks });
  let asking = null; // of the request that is under way
  let choosing = null; // of the request for windows to judge
  let waiting = null; // for it
  let history = []; // marks, for undo

  const recipe = () => ({
    ...(state.detector ? { detector: state.detector.name } : { examples: state.examples }),
    ...(state.picture ? { picture: state.picture } : {}),
    // Of a picture, and of points in a file.
    ...(state.picture || state.labels ? { object_size: state.size } : {}),
    ...state.filters,
    ...(state.marks.size && queue.id() ? { marks: queue.id() } : {}),
    k: state.most,
  });

  const show = (changes = {}) => {
    const { objects, minScore, marks, hideMarked } = { ...state, ...changes };
    const kept = (found) => {
      const mark = markOf(found, marks);
      return (found.score >= minScore || mark === 'good') && !(hideMarked && mark);
    };
    set({ ...changes, shown: objects.filter(kept) });
  };

  const remember = (step) => writeObjectLink(name, state, queue.linked(), step);

  // Whoever searches anew, cancels or leaves no longer needs the answer; the server stops, too.
  function abandon() {
    asking?.abort();
    waiting?.cancel();
    choosing?.abort();
  }

  async function search(step = true) {
    abandon();
    asking = new AbortController();
    const { signal } = asking;
    waiting = waitFor({ service, store });
    const mine = waiting;
    const number = state.requestNumber + 1;
    set({ requestNumber: number, busy: 'Looking for objects', problem: null, saved: null });
    remember(step);
    try {
      await queue.flushed();
      const answer = await service.find({ ...recipe(), progress: mine.id }, signal);
      if (answer.state) {
        const job = await mine.followed(answer);
        mine.end();
        return await openFound(job);
      }
      const { objects, ...rest } = answer;
      const minScore = step || !state.minScore ? rest.threshold : state.minScore;
      show({ objects, answer: rest, minScore, page: 0, selected: -1, hovered: -1 });
      remember(false);
      if (state.judging && !state.asked.length) askMore();
    } catch (problem) {
      if (problem.name === 'AbortError') return;
      show({ objects: [], answer: null, problem, selected: -1, page: 0 });
    } finally {
      mine.end();
      if (state.requestNumber === number) set({ busy: '', answered: number });
    }
    return undefined;
  }

  // What a job has found, which it has saved.
  async function openFound(job) {
    if (!job || job.state === 'cancelled') return undefined;
    if (!job.summary) {
      const { what, where, remedy } = job.error ?? { what: `The search is ${job.state}`, remedy: 'See Jobs' };
      throw Object.assign(new Error(what), { detail: where, remedy });
    }
    listSaved();
    return openSaved(job.summary.search, 0, false);
  }

  const searchFrom = (example, add) => {
    if (add) set({ examples: [...state.examples, example], detector: null });
    else begin({ examples: [example] });
    return search();
  };

  // Another thing is looked for.
  function begin(start) {
    forgetMarks();
    set({ examples: [], detector: null, picture: null, labels: 0, most: FIRST, ...start });
  }

  // Another thing is looked for: its marks are a set of their own.
  function forgetMarks() {
    queue.fresh();
    history = [];
    set({ marks: new Map(), authors: new Map(), goneScenes: 0, asked: [], judged: [], judging: false, exhausted: false, saving: null });
  }

  async function askMore() {
    const n = 10;
    choosing?.abort();
    choosing = new AbortController();
    const { signal } = choosing;
    const busy = 'Choosing what to judge';
    set({ busy, exhausted: false });
    try {
      await queue.flushed();
      const { objects } = await service.ask(recipe(), n, signal);
      set({ asked: objects, exhausted: !objects.length });
    } catch (problem) {
      if (problem.name !== 'AbortError') set({ problem, judging: false });
    } finally {
      if (state.busy === busy) set({ busy: '' });
    }
  }

  function reopen() {
    const link = readObjectLink(name);
    if (link.saved) return openSaved(link.saved, link.minScore, false);
    abandon();
    forgetMarks(); // of what was looked for before
    if (link.marks) queue.use(link.marks);
    const detector = link.detector && { name: link.detector, title: link.detector };
    const { examples, picture, filters, minScore, hideMarked } = link;
    set({ examples, picture, filters, minScore, hideMarked, detector, labels: 0, saved: null });
    const sized = examples.findLast((example) => example.object_size);
    if (sized) actions.setSize(sized.object_size, false);
    return restoreMarks(link).then(() => {
      if (!started(state)) set({ labels: state.marks.size });
      if (started(state)) return search(false);
      return show({ objects: [], answer: null, saved: null });
    });
  }

  async function listSaved() {
    try {
      set({ kept: await service.savedSearches() });
    } catch (problem) {
      set({ problem });
    }
  }

  // The objects and marks of a saved search, as they were.
  async function openSaved(id, minScore = 0, step = true) {
    abandon();
    const number = state.requestNumber + 1;
    set({ requestNumber: number, busy: 'Opening', problem: null });
    try {
      const opened = stateOf(await service.savedSearch(id));
      if (state.requestNumber !== number) return; // something else was asked for meanwhile
      const { recipe: kept } = opened.saved;
      begin({ picture: kept.picture ?? null, filters: filtersIn(kept) });
      if (kept.marks) queue.use(kept.marks);
      const marked = opened.objects.filter((found) => found.mark);
      const marks = new Map(marked.map((found) => [placeKey(found), found.mark]));
      show({ ...opened, marks, authors: opened.authors, minScore, page: 0, selected: -1, hovered: -1 });
      remember(step);
    } catch (problem) {
      if (state.requestNumber === number) set({ problem, saved: null });
    } finally {
      if (state.requestNumber === number) set({ busy: '', answered: number });
    }
  }

  // The marks of a link, which a reload takes up again.
  async function restoreMarks({ marks: id }) {
    if (!id) return;
    try {
      await queue.flushed();
      takeMarks(id, await service.marks(id, 'object'));
    } catch {
      // Nothing was marked yet, or it is still on its way.
      takeMarks(id, { marks: [], missing: [] });
    }
  }

  // The marks of a set as the server has them; what is on its way there counts as given.
  function takeMarks(id, { marks: kept, missing }) {
    if (queue.id() !== id || state.saved) return; // something else is looked for meanwhile
    // A mark taken back stays as empty: the object itself still carries the one of its search.
    const marks = new Map([...state.marks.keys()].map((key) => [key, '']));
    const authors = new Map();
    for (const mark of [...kept, ...queue.unsentOf(id)]) {
      marks.set(placeKey(mark), mark.label);
      authors.set(placeKey(mark), mark.author);
    }
    show({ marks, authors, goneScenes: missing.length });
  }

  function setFilters(change) {
    const filters = { ...state.filters, ...change };
    for (const [key, value] of Object.entries(filters)) {
      if (value === null || value === '' || value?.length === 0) delete filters[key];
    }
    set({ filters });
    if (started(state)) return search();
    return remember(false);
  }

  const actions = {
    ...createObjectExports({ store, service, data, recipe }),
    ...createDetectorActions({ store, service, queue, recipe }),
    ...createFileActions({ store, service, queue, author, begin, search, restoreMarks }),
    setFilters,
    begin() {
      actions.listDetectors();
      listSaved();
      actions.setSize(keptSize(name) ?? data.object_size ?? 64, false);
      addEventListener('popstate', reopen);
      reopen();
      remember(false);
      queue.send();
    },
    searchAt: (lon, lat, add = false) =>
      searchFrom({ at: [lon, lat], object_size: state.size, label: 'good' }, add),
    // As the drawing tools call it.
    search: (place, add = false) => searchFrom({ ...place, label: 'good' }, add),
    setSize(size, done = true) {
      const rounded = Number(size.toPrecision(3));
      if (!(rounded >= 0.1 && rounded <= 100_000)) return;
      set({ size: rounded });
      if (done) keepSize(name, rounded);
    },
    setMinScore(minScore, done = false) {
      show({ minScore, selected: -1, page: 0 });
      if (done) remember(false);
    },
    select: (index) => set({ selected: index }),
    turnTo: (page) => set({ page, selected: -1 }),
    toggle(key) {
      show({ [key]: !state[key] });
      remember(false);
    },
    refine: () => search(),
    findMore() {
      set({ most: MOST });
      return search(false);
    },
    cancel: abandon,
    openTray() {
      set({ judging: true, asked: [], judged: [] });
      return askMore();
    },
    closeTray() {
      set({ judging: false, asked: [] });
      return search();
    },
    // Judges the first window of the tray; it moves on by itself.
    judge(label) {
      const [found, ...rest] = state.asked;
      if (!found) return undefined;
      set({ asked: rest, judged: [...state.judged, found] });
      put(found, label);
      return rest.length ? undefined : askMore();
    },
    unjudge() {
      const found = state.judged.at(-1);
      if (!found) return;
      set({ judged: state.judged.slice(0, -1), asked: [found, ...state.asked] });
      put(found, '');
    },
    // Whether it was saved.
    async saveSearch(title) {
      set({ busy: 'Saving', problem: null });
      try {
        await queue.flushed();
        const threshold = state.minScore || null;
        const { search } = await service.saveSearch({ ...recipe(), threshold, outlines: true, name: title });
        await listSaved();
        await openSaved(search.id, state.minScore);
        return true;
      } catch (problem) {
        set({ problem, busy: '' });
        return false;
      }
    },
    openSaved: (id) => openSaved(id),
    async removeSaved({ id }) {
      try {
        await service.removeSearch(id);
        if (state.saved?.id === id) {
          set({ saved: null });
          remember(false);
        }
        await listSaved();
      } catch (problem) {
        set({ problem });
      }
    },
    apply(detector) {
      begin({ detector });
      return search();
    },
    mark(index, label) {
      const found = state.shown[index];
      if (!found) return;
      const before = state.marks.get(placeKey(found));
      const own = author.owns(state.authors.get(placeKey(found))); // another's mark is confirmed
      put(found, before === label && own ? '' : label);
      history.push([found, own ? before : undefined]);
    },
    undo() {
      const [found, before] = history.pop() ?? [];
      if (found) put(found, before);
    },
    renamed: queue.rename,
    clear() {
      abandon();
      begin();
      set({ saved: null, busy: '', problem: null });
      show({ objects: [], answer: null, selected: -1, page: 0, minScore: 0 });
      remember(true);
    },
    async makeCells() {
      try {
        await service.makeCells();
        location.assign(service.jobs);
      } catch (problem) {
        set({ problem });
      }
    },
    stop() {
      removeEventListener('popstate', reopen);
      asking?.abort();
      waiting?.leave();
      queue.stop();
      history = [];
    },
  };

  // The review of the saved search that is open.
  async function reviewed(found, label) {
    const { id } = state.saved;
    try {
      await service.review(id, found.id, label, author.name());
    } catch (problem) {
      set({ problem });
    }
  }

  function put(found, label) {
    const marks = new Map(state.marks);
    // A mark taken back is kept as empty: the object itself still carries the one of its search.
    if (label === undefined) marks.delete(placeKey(found));
    else marks.set(placeKey(found), label);
    show({ marks, authors: new Map(state.authors).set(placeKey(found), author.name()) });
    const { lon, lat, width_m, height_m, scene_id } = found;
    queue.add({ lon, lat, width_m, height_m, scene_id, label: label ?? '' });
    if (state.saved && state.objects.some((each) => each.id === found.id)) reviewed(found, label ?? '');
    remember(false);
  }

  return actions;
}

// What can be done in object search.
import { download } from '../../shared/download.js';
import { keepSize, keptSize, readObjectLink, writeObjectLink } from './link.js';
import { createMarksQueue } from './marks_queue.js';

export const MOST = 1000;

export function createObjectActions({ store, service, data }) {
  const { name } = data.collection;
  const { state, set } = store;
  const queue = createMarksQueue({ data, service, store });
  let asking = null; // of the request that is under way
  let history = []; // marks, for undo

  const recipe = () => ({ examples: state.examples, k: MOST });

  const show = (changes = {}) => {
    const { objects, minScore, marks, hideMarked } = { ...state, ...changes };
    const kept = ({ id, score }) =>
      (score >= minScore || marks.get(id) === 'good') && !(hideMarked && marks.has(id));
    set({ ...changes, shown: objects.filter(kept) });
  };

  const remember = (step) => writeObjectLink(name, state, queue.id(), step);

  async function search(step = true) {
    asking?.abort();
    asking = new AbortController();
    const number = state.requestNumber + 1;
    set({ requestNumber: number, busy: 'Looking for objects', problem: null });
    remember(step);
    try {
      const answer = await service.find(recipe(), asking.signal);
      const { objects, ...rest } = answer;
      const minScore = step ? rest.threshold : state.minScore;
      show({ objects, answer: rest, minScore, page: 0, selected: -1, hovered: -1 });
      remember(false);
    } catch (problem) {
      if (problem.name === 'AbortError') return;
      show({ objects: [], answer: null, problem, selected: -1, page: 0 });
    } finally {
      if (state.requestNumber === number) set({ busy: '', answered: number });
    }
  }

  const searchFrom = (example, add) => {
    set({ examples: add ? [...state.examples, example] : [example] });
    return search();
  };

  function reopen() {
    const link = readObjectLink(name);
    if (link.marks) queue.use(link.marks);
    set({ examples: link.examples, minScore: link.minScore });
    if (link.examples.length) search(false);
    else show({ objects: [], answer: null });
  }

  const actions = {
    begin() {
      set({ size: keptSize(name) ?? data.object_size ?? data.collection.scenes[0]?.gsd * 64 });
      addEventListener('popstate', reopen);
      reopen();
      remember(false);
      queue.send();
    },
    searchAt: (lon, lat, add = false) =>
      searchFrom({ at: [lon, lat], object_size: state.size, label: 'good' }, add),
    // As the drawing tools call it.
    search: ({ box }) => searchFrom({ box, label: 'good' }, false),
    setFilters() {},
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
    toggle: (key) => (key === 'hideMarked' ? show({ hideMarked: !state.hideMarked }) : set({ [key]: !state[key] })),
    mark(index, label) {
      const found = state.shown[index];
      if (!found) return;
      const before = state.marks.get(found.id) ?? '';
      put(found, before === label ? '' : label);
      history.push([found, before]);
    },
    undo() {
      const [found, before] = history.pop() ?? [];
      if (found) put(found, before);
    },
    clear() {
      asking?.abort();
      set({ examples: [], busy: '', problem: null });
      show({ objects: [], answer: null, selected: -1, page: 0, minScore: 0 });
      remember(true);
    },
    async exportAs(format, geometry) {
      set({ busy: 'Exporting' });
      try {
        const file = await service.file({ ...recipe(), format, geometry, threshold: state.minScore || null });
        const named = /filename="?([^";]+)/.exec(file.headers.get('Content-Disposition') || '');
        download(await file.blob(), named?.[1] ?? `${name}-objects`);
      } catch (problem) {
        set({ problem });
      } finally {
        set({ busy: '' });
      }
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
      queue.stop();
      history = [];
    },
  };

  function put(found, label) {
    const marks = new Map(state.marks);
    if (label) marks.set(found.id, label);
    else marks.delete(found.id);
    show({ marks });
    const { lon, lat, width_m, height_m, scene_id } = found;
    queue.add({ lon, lat, width_m, height_m, scene_id, label });
    remember(false);
  }

  return actions;
}

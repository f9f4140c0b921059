// Good and bad examples: marks on results, Refine, several examples at once, and undo.
import { queryKey } from '../shared/recipe.js';

const MOST_STEPS = 100;

export function createMarks({ store, runSearch, clear, updateAddress }) {
  const { state } = store;

  // What undo brings back, the present state included.
  function undoSteps() {
    const { query, good, bad, marks } = state;
    return [...state.past, { query, good, bad, marks }].slice(-MOST_STEPS);
  }

  // Marks a result, or takes the same mark away.
  function mark(index, kind) {
    const hit = state.shown[index];
    if (!hit) return;
    const { [hit.id]: was, ...others } = state.marks;
    store.set({ past: undoSteps(), marks: was === kind ? others : { ...others, [hit.id]: kind } });
    updateAddress();
  }

  // The query moves towards what was marked good and away from what was marked bad.
  function refine() {
    if (!state.query || !isMarked(state)) return;
    const { good, bad } = examplesOf(state);
    if (state.query.kind === 'examples' && !good.length) return;
    const marks = { ...state.marks, ...Object.fromEntries(good.map((id) => [id, 'good'])) };
    runSearch({ good, bad, marks, past: undoSteps() }, { quiet: true });
  }

  // A chip joins the query as an example, or leaves it.
  function toggleExample({ id, row, lon, lat }) {
    if (state.query.chip === id) return removeExample(id);
    if (state.good.includes(id) || state.bad.includes(id)) return removeExample(id);
    const examples = new Map(state.examples).set(id, { id, row, lon, lat });
    const good = [...state.good, id];
    const marks = { ...state.marks, [id]: 'good' };
    return runSearch({ good, examples, marks, past: undoSteps() }, { quiet: true });
  }

  function removeExample(id) {
    const { [id]: _, ...marks } = state.marks;
    const [good, bad] = [state.good, state.bad].map((ids) => ids.filter((other) => other !== id));
    const query = state.query.chip === id ? { kind: 'examples' } : state.query;
    if (query.kind === 'examples' && !good.length) return clear();
    return runSearch({ query, good, bad, marks, past: undoSteps() }, { quiet: true });
  }

  function undo() {
    const before = state.past.at(-1);
    if (!before) return;
    const earlier = state.past.slice(0, -1);
    const same = isSame(before, state);
    if (same) {
      store.set({ marks: before.marks, past: earlier });
      return updateAddress();
    }
    if (before.query) return runSearch({ ...before, past: earlier }, { quiet: true });
    clear();
    return store.set({ past: earlier });
  }

  return { toggleExample, mark, undoSteps, refine, removeExample, undo };
}

// The examples of a refined query.  Examples without another start are all that it has: with none
// marked good they stay, those that are marked bad left out.
function examplesOf({ query, marks, good: used }) {
  const marked = (kind) => Object.keys(marks).filter((id) => marks[id] === kind);
  const [good, bad] = [marked('good'), marked('bad')];
  const kept = query.kind === 'examples' && !good.length;
  return { good: kept ? used.filter((id) => marks[id] !== 'bad') : good, bad };
}

export const isMarked = ({ marks }) => Object.keys(marks).length > 0;

// Whether there is a mark that is not yet part of the query, or one of its examples lost its mark.
export function isRefinable({ query, marks, good, bad }) {
  if (!query) return false;
  if (query.kind === 'examples' && !examplesOf({ query, marks, good }).good.length) return false;
  const now = Object.entries(marks).map(([id, kind]) => `${kind}:${id}`);
  const used = [...good.map((id) => `good:${id}`), ...bad.map((id) => `bad:${id}`)];
  return now.length > 0 && now.sort().join() !== used.sort().join();
}

// Files have no name that tells them apart; a picture has an id once its search is answered.
function isSame(before, now) {
  return queryKey(before) === queryKey(now) && before.query?.file === now.query?.file;
}

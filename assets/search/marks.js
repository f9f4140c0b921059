// Good and bad examples: marks on results, Refine, several examples at once, and undo.  The server
// keeps the marks of a search as a set, to which several people may add.
import { queryKey } from '../shared/recipe.js';

const MOST_STEPS = 100;

export function createMarks({ store, runSearch, clear, updateAddress, show, queue, author }) {
  const { state } = store;

  // What undo brings back, the present state included.
  function undoSteps() {
    const { query, good, bad, marks, authors, markSet, stored } = state;
    return [...state.past, { query, good, bad, marks, authors, markSet, stored }].slice(-MOST_STEPS);
  }

  // The state with these marks, of which the server is told what is new.  Of marks that are restored
  // `authors` says whose they were; of others `touched` is given by whoever marks, changed or not.
  function given(marks, { authors = null, touched = [] } = {}) {
    const { markSet } = state;
    const stored = state.stored ? state.marks : {}; // those of a link of before are not yet
    const every = new Set([...Object.keys(stored), ...Object.keys(marks), ...touched]);
    const another = (id) => Boolean(authors) && authors[id] !== state.authors[id];
    const isNew = (id) => stored[id] !== marks[id] || touched.includes(id) || another(id);
    const changed = [...every].filter(isNew);
    if (!changed.length) return { marks };
    const whose = { ...(authors ?? state.authors) };
    for (const id of authors ? [] : changed) whose[id] = marks[id] && author.name();
    const label = (id) => (author.owns(whose[id]) ? (marks[id] ?? '') : ''); // nobody speaks for another
    const told = changed.map((chip) => ({ chip, label: label(chip) }));
    queue.addTo(markSet, told.filter(({ chip, label: of }) => of || stored[chip] || touched.includes(chip)));
    return { marks, authors: whose, stored: true };
  }

  // Marks a result, or takes the same mark away; another's mark is confirmed.
  function mark(index, kind) {
    const hit = state.shown[index];
    if (!hit) return;
    const { [hit.id]: was, ...others } = state.marks;
    const taken = was === kind && author.owns(state.authors[hit.id]);
    const past = undoSteps();
    const marks = taken ? others : { ...others, [hit.id]: kind };
    show({ past, ...given(marks, { touched: [hit.id] }) });
    updateAddress();
  }

  // The query moves towards what was marked good and away from what was marked bad.
  function refine() {
    if (!state.query || !isMarked(state)) return;
    const { good, bad } = examplesOf(state);
    if (state.query.kind === 'examples' && !good.length) return;
    const marks = { ...state.marks, ...Object.fromEntries(good.map((id) => [id, 'good'])) };
    const past = undoSteps();
    runSearch({ good, bad, past, ...given(marks) }, { quiet: true });
  }

  // A chip joins the query as an example, or leaves it.
  function toggleExample({ id, row, lon, lat }) {
    if (state.query.chip === id) return removeExample(id);
    if (state.good.includes(id) || state.bad.includes(id)) return removeExample(id);
    const good = [...state.good, id];
    const examples = new Map(state.examples).set(id, { id, row, lon, lat });
    const marks = { ...state.marks, [id]: 'good' };
    const past = undoSteps();
    return runSearch({ good, examples, past, ...given(marks) }, { quiet: true });
  }

  function removeExample(id) {
    const { [id]: _, ...marks } = state.marks;
    const [good, bad] = [state.good, state.bad].map((ids) => ids.filter((other) => other !== id));
    const query = state.query.chip === id ? { kind: 'examples' } : state.query;
    if (query.kind === 'examples' && !good.length) return clear();
    const past = undoSteps();
    return runSearch({ query, good, bad, past, ...given(marks) }, { quiet: true });
  }

  function undo() {
    const before = state.past.at(-1);
    if (!before) return;
    const past = state.past.slice(0, -1);
    const same = isSame(before, state);
    const { query, good, bad, marks, authors } = before;
    // Of another search its own set is shown again; of this one the server hears of what is undone.
    const restored = before.markSet === state.markSet ? given(marks, { authors }) : before;
    if (same) {
      show({ ...restored, past });
      return updateAddress();
    }
    if (query) return runSearch({ query, good, bad, ...restored, past }, { quiet: true });
    clear();
    return store.set({ past });
  }

  // The marks of a set as the server has them; what is on its way there counts as given.
  function take(set, { marks: kept, missing }) {
    if (set !== state.markSet) return;
    const { marks: saved = {}, authors: savers = {} } = state.reopened ?? {};
    const [marks, authors] = [{ ...saved }, { ...savers }];
    const gone = new Set(missing);
    for (const { chip, label, author: by } of [...kept, ...queue.unsentOf(set)]) {
      if (gone.has(chip)) continue;
      delete marks[chip];
      if (label) Object.assign(marks, { [chip]: label });
      authors[chip] = by;
    }
    show({ marks, authors, gone: [...gone], stored: true });
  }

  return { toggleExample, mark, undoSteps, refine, removeExample, undo, take };
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

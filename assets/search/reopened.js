// A saved search on the map with its hits exactly as they were, until one searches again.
import { h } from '../shared/dom.js';
import { formatDay } from '../shared/format.js';
import { missingHits } from '../shared/missing_hits.js';
import { shownResults } from '../shared/recipe.js';

// Marks that say what is right; skipped hits carry none here.
const verdicts = (marks) =>
  Object.fromEntries(Object.entries(marks).filter(([, kind]) => kind !== 'skip'));

// The state that shows what was saved.  What the address asks for beside it stays: marks, the cut.
export function savedState(saved, { marks: linked, authors = {}, stored = false, minScore, hideMarked }) {
  const kept = examplesAs(saved.recipe, verdicts(saved.marks));
  const savers = Object.fromEntries((saved.judgements ?? []).map(({ id, author }) => [id, author]));
  const own = Object.keys(linked).length > 0;
  // A set adds to the review; a link of before replaces it.
  const marks = stored ? { ...kept, ...linked } : own ? linked : kept;
  const { recipe, parameters, hits, eligible, total, changed, missing } = saved;
  const { within, scenes, since, until, max_nodata, min_sharpness, away } = recipe;
  const filters = { within, scenes, since, until, max_nodata, min_sharpness, away };
  const given = Object.entries(filters).filter(([, value]) => value !== undefined);
  const cut = Math.max(0, recipe.threshold ?? 0);
  const facts = { id: saved.id, name: saved.name, created: saved.created, minScore: cut, changed, missing };
  return {
    reopened: { ...facts, marks: kept, authors: savers },
    query: saved.start,
    examples: new Map(saved.examples.map((example) => [example.id, example])),
    good: recipe.good ?? [],
    bad: recipe.bad ?? [],
    marks,
    authors: { ...savers, ...authors },
    options: {
      k: parameters.k,
      suppress: parameters.suppress,
      any_orientation: recipe.any_orientation ?? false,
      any_scale: recipe.any_scale ?? false,
      ranking: recipe.ranking ?? 'default',
    },
    filters: Object.fromEntries(given),
    merged: false,
    minScore, // nothing that was saved lies below the cut it was saved with
    hits,
    sites: null,
    shown: shownResults({ hits, minScore, marks, hideMarked }),
    summary: { eligible, total, seconds: null },
  };
}

function examplesAs({ good = [], bad = [] }, marks) {
  const named = (ids, kind) => ids.map((id) => [id, kind]);
  return { ...marks, ...Object.fromEntries([...named(good, 'good'), ...named(bad, 'bad')]) };
}

// Below the query: which search this is, and whether searching again may find something else.
export function drawReopened(note, { query, reopened, options }, { actions, service }) {
  const ranked = query && options.ranking === 'plain' ? earlierRanking(actions) : [];
  note.hidden = !reopened && !ranked.length;
  if (!reopened) return note.replaceChildren(...ranked);
  const { id, name, created, changed, missing } = reopened;
  const link = h('a', { href: service.results(id) }, 'Review and export in Results');
  const lines = [h('p', { role: 'status' }, `“${name}” as saved on ${formatDay(created)}. `, link)];
  if (missing.length) lines.push(h('p', {}, missingHits(missing.length)));
  if (changed) {
    const again = { class: 'lk-button', type: 'button', onclick: actions.searchAgain };
    const words = 'The collection has changed since. These are the original hits.';
    lines.push(h('p', {}, words), h('button', again, 'Search again'));
  }
  return note.replaceChildren(...lines, ...ranked);
}

function earlierRanking(actions) {
  const change = () => actions.setOption({ ranking: 'default' });
  return [
    h('p', {}, 'Ranked as in earlier versions.'),
    h('button', { class: 'lk-button', type: 'button', onclick: change }, 'Use the current ranking'),
  ];
}

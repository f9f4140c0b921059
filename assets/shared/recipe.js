// From the state of the page to what the server takes, and from its answer to what is shown.

// Of the number of results: the server's own, see pipeline/search/recipe.py.
export const DEFAULT_K = 10;
export const MAX_K = 1000;

// What to look for, among which chips: the body of every request about the query.
export function recipeOf({ query, good, bad, marks = {}, options, filters, merged, minScore }) {
  const recipe = { ...queryFields(query), ...options, ...filters };
  if (good.length) recipe.good = good;
  if (bad.length) recipe.bad = bad;
  // Hits marked good stay, whether they are part of the query yet or not.
  const keep = Object.keys(marks).filter((id) => marks[id] === 'good' && !good.includes(id));
  if (keep.length) recipe.keep = keep.slice(-MAX_K);
  // Sites are made of overlapping hits, of those that are good enough.
  if (merged) Object.assign(recipe, { suppress: false }, minScore > 0 ? { threshold: minScore } : {});
  return recipe;
}

function queryFields({ chip, at, picture, box, file }) {
  if (chip) return { chip };
  if (at) return { at };
  if (box) return { box };
  if (picture) return { picture };
  return file ? { file } : {};
}

// The same as one word, to know whether something still belongs to the query.
export const queryKey = ({ query, good, bad }) => JSON.stringify([query && queryFields(query), good, bad]);

// What the map and the gallery list: hits, or sites with their best hit.  Those marked good stay
// whatever the minimum score; `hideMarked` leaves out what is marked.
export function shownResults({ hits, sites, minScore, marks = {}, hideMarked = false }) {
  const isKept = ({ id, score, chips = [id] }) => {
    if (hideMarked && marks[id]) return false;
    // A cut at 0 cuts nothing, for a refined query's scores may lie below it.
    return minScore <= 0 || score >= minScore || chips.some((chip) => marks[chip] === 'good');
  };
  if (!sites) return hits.filter(isKept);
  const byId = new Map(hits.map((hit) => [hit.id, hit]));
  return sites.filter(isKept).map(({ id, rank, count, chips, geometry }) => {
    const rows = chips.map((chip) => byId.get(chip).row);
    return { ...byId.get(id), rank, count, rows, outline: geometry };
  });
}

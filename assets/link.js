// The address carries the collection and the query, so that a link reopens the same search.

const remembered = (name) => `lookalike:link:${name}`;

// What the address asks for; without a query there, the one this tab had last.
export function readLink(name) {
  let fields = new URLSearchParams(location.search);
  if (!fields.has('chip') && !fields.has('picture') && !fields.has('k')) {
    fields = new URLSearchParams(sessionStorage.getItem(remembered(name)) || '');
  }
  const k = Number.parseInt(fields.get('k'), 10);
  const least = Number.parseFloat(fields.get('min'));
  return {
    query: queryOf(fields),
    k: k >= 1 && k <= 1000 ? k : 10,
    least: least > 0 && least <= 1 ? least : 0,
    suppress: fields.get('overlaps') !== '1',
  };
}

function queryOf(fields) {
  if (fields.get('chip')) return { chip: fields.get('chip') };
  if (fields.get('picture')) return { picture: fields.get('picture') };
  return null;
}

export function writeLink(name, { query, options, least }) {
  const fields = new URLSearchParams({ collection: name });
  if (query?.chip) fields.set('chip', query.chip);
  if (query?.picture) fields.set('picture', query.picture);
  if (query || options.k !== 10) fields.set('k', options.k);
  if (least > 0) fields.set('min', least.toFixed(2));
  if (!options.suppress) fields.set('overlaps', '1');
  sessionStorage.setItem(remembered(name), fields.toString());
  history.replaceState(history.state, '', `${location.pathname}?${fields}${location.hash}`);
}

// The address carries the whole search, so that a link, a reload, Back and Forward reopen it as it
// was.
import { DEFAULT_K, MAX_K } from './recipe.js';

const remembered = (name) => `lookalike:link:${name}`;
const FLAGS = { sites: 'merged', heat: 'heat', inside: 'inside', filters: 'panel', hide: 'hideMarked' };
const TEXTS = { since: 'since', until: 'until' };
const NUMBERS = { nodata: 'max_nodata', sharpness: 'min_sharpness', away: 'away' };
const list = (text) => (text ? text.split(',').filter(Boolean) : []);

export const linkedCollection = () => new URLSearchParams(location.search).get('collection');

// Reads the search from the address; without one, this tab's last search of the collection.
export function readLink(name, orLast = true) {
  let fields = new URLSearchParams(location.search);
  if (orLast && ![...fields.keys()].some((key) => key !== 'collection')) {
    fields = new URLSearchParams(sessionStorage.getItem(remembered(name)) || '');
  }
  const k = Number.parseInt(fields.get('k'), 10);
  const minScore = Number.parseFloat(fields.get('min'));
  const [good, bad] = [list(fields.get('good')), list(fields.get('bad'))];
  const read = {
    saved: fields.get('saved'), // id of a saved search to show as it was
    query: queryOf(fields, good),
    good,
    bad,
    marks: marksOf(good, bad, fields),
    markSet: setOf(fields), // the set of the marks; links of before name the marks themselves
    options: {
      k: k >= 1 && k <= MAX_K ? k : DEFAULT_K,
      suppress: fields.get('overlaps') !== '1',
      any_orientation: fields.get('turned') === '1',
      any_scale: fields.get('scaled') === '1',
      ranking: rankingOf(fields),
    },
    minScore: minScore > 0 && minScore <= 1 ? minScore : 0,
    page: Math.max(0, (Number.parseInt(fields.get('page'), 10) || 1) - 1),
    filters: filtersOf(fields),
  };
  for (const [field, key] of Object.entries(FLAGS)) read[key] = fields.get(field) === '1';
  return read;
}

// A link of an earlier version names no ranking and keeps the order that it had then.
function rankingOf(fields) {
  const starts = ['chip', 'picture', 'box', 'good'].some((name) => fields.get(name));
  return !starts || fields.get('ranking') === 'default' ? 'default' : 'plain';
}

function queryOf(fields, good) {
  const [chip, picture, box] = ['chip', 'picture', 'box'].map((name) => fields.get(name));
  if (chip) return { kind: 'chip', chip };
  if (picture) return { kind: 'picture', picture };
  const edges = box?.split(',').map(Number) ?? [];
  if (edges.length === 4 && edges.every(Number.isFinite)) return { kind: 'box', box: edges };
  return good.length ? { kind: 'examples' } : null;
}

function marksOf(good, bad, fields) {
  const marks = {};
  for (const id of [...good, ...list(fields.get('g'))]) marks[id] = 'good';
  for (const id of [...bad, ...list(fields.get('b'))]) marks[id] = 'bad';
  return marks;
}

// Marks could not be sent to a set of another name, and would be kept unsent for ever.
export const setOf = (fields) => /^[a-z0-9]{8,32}$/.exec(fields.get('marks'))?.[0] ?? null;

// The filters in an address; `writeFilters` puts them there.
export function filtersOf(fields) {
  const filters = {};
  const within = placeOf(fields.get('within'));
  if (within) filters.within = within;
  if (fields.get('scenes')) filters.scenes = list(fields.get('scenes'));
  for (const [field, key] of Object.entries(TEXTS)) {
    if (/^\d{4}-\d\d-\d\d$/.test(fields.get(field))) filters[key] = fields.get(field);
  }
  for (const [field, key] of Object.entries(NUMBERS)) {
    const value = Number.parseFloat(fields.get(field));
    if (value >= 0 && value < Infinity) filters[key] = value;
  }
  return filters;
}

// The filters of a saved search.
export const filtersIn = (recipe) =>
  Object.fromEntries(
    ['within', 'scenes', ...Object.values(TEXTS), ...Object.values(NUMBERS)]
      .map((key) => [key, recipe[key]])
      .filter(([, value]) => value !== undefined && value !== null),
  );

export function writeFilters(fields, filters) {
  if (filters.within) fields.set('within', placeText(filters.within));
  if (filters.scenes) fields.set('scenes', filters.scenes.join());
  for (const [field, key] of Object.entries(TEXTS)) if (filters[key]) fields.set(field, filters[key]);
  for (const [field, key] of Object.entries(NUMBERS)) {
    if (filters[key] !== undefined) fields.set(field, filters[key]);
  }
}

// A polygon is written as "lon lat,lon lat,…" without its last corner; rings are set apart by ";",
// the polygons of a place that has several by "|".
export function placeOf(text) {
  if (!text) return null;
  const polygons = text.split('|').map((polygon) => polygon.split(';').map(ringOf));
  if (!polygons.flat().every(Boolean)) return null;
  return polygons.length > 1
    ? { type: 'MultiPolygon', coordinates: polygons }
    : { type: 'Polygon', coordinates: polygons[0] };
}

function ringOf(text) {
  const ring = text.split(',').map((at) => at.split(' ').map(Number));
  const whole = ring.every((at) => at.length === 2 && at.every(Number.isFinite));
  return whole && ring.length >= 3 ? [...ring, ring[0]] : null;
}

export function placeText({ type, coordinates }) {
  const at = ([lon, lat]) => `${+lon.toFixed(6)} ${+lat.toFixed(6)}`;
  const ring = (corners) => corners.slice(0, -1).map(at).join(',');
  const polygon = (rings) => rings.map(ring).join(';');
  if (type === 'Polygon') return polygon(coordinates);
  return type === 'MultiPolygon' ? coordinates.map(polygon).join('|') : '';
}

// A new search is a step of the browser's history; what adjusts it changes the last step.
export function writeLink(name, state, step = false) {
  const { query, options, minScore, good, bad, page, reopened } = state;
  const marks = state.stored ? {} : state.marks; // the set has them
  const filters = reopened ? {} : state.filters;
  const fields = new URLSearchParams({ collection: name });
  const set = (field, value) => value && fields.set(field, value);
  if (reopened) {
    // The rest of the search is kept with it.
    set('saved', reopened.id);
    for (const kind of ['good', 'bad']) {
      set(kind[0], Object.keys(marks).filter((id) => marks[id] === kind).join());
    }
  } else if (query) {
    set('chip', query.chip);
    set('picture', query.picture);
    set('box', query.box?.map((value) => +value.toFixed(7)).join());
    set('good', good.join());
    set('bad', bad.join());
    const open = (kind, used) =>
      Object.keys(marks).filter((id) => marks[id] === kind && !used.includes(id));
    set('g', open('good', good).join());
    set('b', open('bad', bad).join());
  }
  if (query || reopened) set('marks', state.stored && state.markSet);
  if (!reopened && (query || options.k !== DEFAULT_K)) set('k', options.k);
  if (minScore > 0) set('min', minScore.toFixed(2));
  if (!reopened) {
    set('overlaps', !options.suppress && '1');
    set('turned', options.any_orientation && '1');
    set('scaled', options.any_scale && '1');
    set('ranking', query && options.ranking === 'default' && 'default');
  }
  if (page > 0) set('page', page + 1);
  writeFilters(fields, filters);
  for (const [field, key] of Object.entries(FLAGS)) set(field, state[key] && '1');
  sessionStorage.setItem(remembered(name), fields.toString());
  const address = `${location.pathname}?${fields}${location.hash}`;
  const known = address === location.pathname + location.search + location.hash;
  if (step && !known) history.pushState(history.state, '', address);
  else history.replaceState(history.state, '', address);
}

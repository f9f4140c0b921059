// A link reopens the search it was copied from; what in it makes no sense is passed over.
import assert from 'node:assert/strict';
import test from 'node:test';

import { follow, openTab, steps } from './page.mjs';
import { linkedCollection, readLink, writeLink } from '../../assets/shared/link.js';

const EMPTY = {
  query: null,
  good: [],
  bad: [],
  marks: {},
  options: { k: 10, suppress: true, any_orientation: false, any_scale: false, ranking: 'default' },
  minScore: 0,
  page: 0,
  filters: {},
  merged: false,
  heat: false,
  inside: false,
  panel: false,
  hideMarked: false,
  markSet: null,
  reopened: null,
};
const CHIP = { kind: 'chip', chip: 'c1' };

// What a colleague sees who opens the link to this state in a new tab.
function reopened(changes) {
  openTab('/');
  writeLink('ponds', { ...EMPTY, ...changes });
  openTab(location.pathname + location.search);
  return readLink('ponds');
}

// What opens with these fields in the address.
function read(fields) {
  openTab(`/?collection=ponds&${fields}`);
  return readLink('ponds');
}

test('a search from a chip opens again with its marks, options, filters and views', () => {
  const state = {
    query: CHIP,
    good: ['g1', 'g2'],
    bad: ['b1'],
    marks: { g1: 'good', g2: 'good', b1: 'bad', later: 'good', worse: 'bad' },
    options: { k: 250, suppress: false, any_orientation: true, any_scale: true, ranking: 'default' },
    minScore: 0.35,
    page: 2,
    filters: {
      scenes: ['s1', 's2'],
      since: '2024-01-31',
      until: '2024-12-01',
      max_nodata: 0,
      min_sharpness: 12.5,
      away: 1500,
    },
    merged: true,
    heat: true,
    inside: true,
    panel: true,
    hideMarked: true,
    markSet: null,
  };
  assert.deepEqual(reopened(state), { ...state, saved: null });
});

test('a link of before keeps its ranking, and says so, until the current one is asked for', () => {
  assert.equal(read('chip=c1').options.ranking, 'plain');
  assert.equal(read('good=g1,g2').options.ranking, 'plain');
  assert.equal(read('chip=c1&ranking=default').options.ranking, 'default');
  const plain = { ...EMPTY.options, ranking: 'plain' };
  assert.equal(reopened({ query: CHIP, options: plain }).options.ranking, 'plain');
});

test('a link without a search opens an empty page', () => {
  const { reopened: _, ...empty } = EMPTY;
  assert.deepEqual(reopened({}), { ...empty, saved: null });
  assert.deepEqual(read(''), { ...empty, saved: null });
});

test('a search from a picture, a box or examples alone opens again', () => {
  assert.deepEqual(reopened({ query: { kind: 'picture', picture: 'p1' } }).query, {
    kind: 'picture',
    picture: 'p1',
  });
  assert.deepEqual(reopened({ query: { kind: 'box', box: [-122.25, -7.5, 0, 1e-7] } }).query, {
    kind: 'box',
    box: [-122.25, -7.5, 0, 1e-7],
  });
  const examples = reopened({ query: { kind: 'examples' }, good: ['g1'], marks: { g1: 'good' } });
  assert.deepEqual(examples.query, { kind: 'examples' });
  assert.deepEqual(examples.good, ['g1']);
});

test('ids and names of collections with signs that mean something in an address stay whole', () => {
  openTab('/');
  const chip = 'a&b=c d+é#1/2%';
  writeLink('salt & ponds', { ...EMPTY, query: { kind: 'chip', chip } });
  assert.equal(linkedCollection(), 'salt & ponds');
  assert.equal(readLink('salt & ponds').query.chip, chip);
});

test('a polygon opens again with its holes, each ring closed', () => {
  const within = {
    type: 'Polygon',
    coordinates: [
      [[-122.5, 37], [-122, 37], [-122, 37.123456], [-122.5, 37]],
      [[-122.2, 37.01], [-122.1, 37.01], [-122.1, 37.02], [-122.2, 37.01]],
    ],
  };
  assert.deepEqual(reopened({ query: CHIP, filters: { within } }).filters, { within });
  assert.deepEqual(reopened({ filters: { within } }).filters, { within });
});

test('a place of several polygons opens again, as areas across the antimeridian are', () => {
  const square = (lon) => [[lon, 0], [lon + 1, 0], [lon + 1, 1], [lon, 1], [lon, 0]];
  const hole = [[179.2, 0.2], [179.4, 0.2], [179.4, 0.4], [179.2, 0.2]];
  const within = { type: 'MultiPolygon', coordinates: [[square(179), hole], [square(-180)]] };
  assert.deepEqual(reopened({ query: CHIP, filters: { within } }).filters, { within });
});

test('a polygon that is none is passed over', () => {
  for (const within of ['x', '1 2', '1 2,3 4', '1 2,3 4,5', '1 2,3 4,5 six', '1 2 3,4 5 6,7 8 9',
    '1 2,3 4,5 Infinity', '1 2,3 4,5 6;', ';', '1 2,3 4,5 6|', '|', ',', 'NaN NaN,NaN NaN,NaN NaN']) {
    const { filters } = read(`within=${encodeURIComponent(within)}`);
    assert.deepEqual(filters, {}, within);
  }
});

test('a box that is not four numbers is passed over', () => {
  for (const box of ['1', '1,2,3', '1,2,3,4,5', 'a,b,c,d', '1,2,3,NaN', '1,2,3,Infinity']) {
    assert.equal(read(`box=${box}`).query, null, box);
  }
  assert.deepEqual(read('box=1,2,3,x&good=g1').query, { kind: 'examples' });
});

test('numbers out of their range are passed over', () => {
  for (const k of ['0', '-5', '1001', 'NaN', 'ten', '', 'Infinity']) {
    assert.equal(read(`chip=c&k=${k}`).options.k, 10, k);
  }
  for (const minScore of ['-0.5', '0', '1.01', 'NaN', 'Infinity', 'x']) {
    assert.equal(read(`chip=c&min=${minScore}`).minScore, 0, minScore);
  }
  for (const page of ['0', '-3', 'NaN', 'x', '']) assert.equal(read(`page=${page}`).page, 0, page);
  for (const field of ['nodata', 'sharpness', 'away']) {
    for (const value of ['-1', 'NaN', 'Infinity', '1e999', 'x', '']) {
      assert.deepEqual(read(`${field}=${value}`).filters, {}, `${field}=${value}`);
    }
  }
});

test('a day that is not written as one is passed over', () => {
  for (const day of ['2024', '24-01-01', '2024-1-1', '2024-01-01T00:00', 'today', '<b>', '']) {
    assert.deepEqual(read(`since=${day}&until=${day}`).filters, {}, day);
  }
});

test('views are on for 1 alone', () => {
  for (const value of ['0', 'true', 'yes', '', '11']) {
    const { heat, merged, inside, panel } = read(`heat=${value}&sites=${value}&inside=${value}`);
    assert.deepEqual([heat, merged, inside, panel], [false, false, false, false], value);
  }
});

test('fields that nobody knows are passed over and not written again', () => {
  const state = read('chip=c1&utm_source=mail&__proto__=x&constructor=y');
  assert.deepEqual(state.query, CHIP);
  writeLink('ponds', { ...EMPTY, ...state });
  assert.deepEqual([...new URLSearchParams(location.search).keys()], ['collection', 'chip', 'k']);
});

test('hostile ids change nothing but the list they stand in', () => {
  const { marks, good } = read('chip=c1&good=__proto__,constructor&b=toString');
  assert.deepEqual(good, ['__proto__', 'constructor']);
  assert.equal(Object.getPrototypeOf(marks), Object.prototype);
  assert.equal({}.good, undefined);
  assert.equal(typeof {}.toString, 'function');
});

test('empty places in lists are passed over', () => {
  const { query, good, bad, marks, filters } = read('good=,g1,,&bad=,&g=,&scenes=,s1');
  assert.deepEqual(query, { kind: 'examples' });
  assert.deepEqual([good, bad], [['g1'], []]);
  assert.deepEqual(marks, { g1: 'good' });
  assert.deepEqual(filters, { scenes: ['s1'] });
});

test('a search starts from one thing where the address names several', () => {
  assert.deepEqual(read('box=1,2,3,4&picture=p&chip=c1').query, CHIP);
  assert.deepEqual(read('box=1,2,3,4&picture=p').query, { kind: 'picture', picture: 'p' });
});

test('marks that are part of the query are told from those that Refine would add', () => {
  const state = { query: CHIP, good: ['g1'], marks: { g1: 'good', later: 'good', b: 'bad' } };
  openTab('/');
  writeLink('ponds', { ...EMPTY, ...state });
  const fields = new URLSearchParams(location.search);
  assert.deepEqual([fields.get('good'), fields.get('g'), fields.get('b')], ['g1', 'later', 'b']);
});

test('marks that the server keeps are in the link as their set, beside the examples of the query', () => {
  const state = { query: CHIP, good: ['g1'], marks: { g1: 'good', later: 'bad' } };
  const { markSet, marks, good } = reopened({ ...state, markSet: 'abcd1234', stored: true });
  assert.deepEqual([markSet, marks, good], ['abcd1234', { g1: 'good' }, ['g1']]);
  assert.equal(read('chip=c1&marks=../etc').markSet, null);
  assert.equal(reopened({ ...state, markSet: 'abcd1234', stored: false }).markSet, null);
});

test('a saved search opens by its id with its marks and cut; the rest is kept with it', () => {
  const state = reopened({
    reopened: { id: 's7' },
    query: CHIP,
    marks: { a: 'good', b: 'bad' },
    options: { ...EMPTY.options, k: 99, suppress: false },
    filters: { away: 5 },
    minScore: 0.5,
  });
  assert.equal(state.saved, 's7');
  assert.deepEqual(state.marks, { a: 'good', b: 'bad' });
  assert.equal(state.minScore, 0.5);
  assert.equal(state.query, null);
  assert.deepEqual(state.filters, {});
  assert.deepEqual(state.options, EMPTY.options);
});

test('the same tab comes back to its last search, collection by collection', () => {
  openTab('/?collection=ponds');
  writeLink('ponds', { ...EMPTY, query: CHIP });
  follow('/?collection=ponds');
  assert.deepEqual(readLink('ponds').query, CHIP);
  assert.equal(readLink('ponds', false).query, null);
  assert.equal(readLink('bay').query, null);
  follow('/?collection=ponds&heat=1');
  assert.equal(readLink('ponds').query, null);
});

test('a new search is a step that Back leads from; what adjusts it is none', () => {
  openTab('/?collection=ponds');
  writeLink('ponds', { ...EMPTY, query: CHIP }, true);
  writeLink('ponds', { ...EMPTY, query: CHIP, heat: true });
  writeLink('ponds', { ...EMPTY, query: CHIP, heat: true }, true);
  assert.deepEqual(steps, ['/?collection=ponds']);
  assert.match(location.search, /heat=1/);
});

test('the path and the part after # stay as they are', () => {
  openTab('/app/search?collection=ponds#top');
  writeLink('ponds', { ...EMPTY, query: CHIP });
  assert.equal(location.pathname, '/app/search');
  assert.equal(location.hash, '#top');
});

// Writes links.json: links as version 0.1.0's assets/link.js wrote them, with what it read in them.
// README.md says how to run it.
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { pathToFileURL } from 'node:url';

const [target] = process.argv.slice(2);
const define = (name, value) =>
  Object.defineProperty(globalThis, name, { value, configurable: true, writable: true });
const kept = new Map();
define('sessionStorage', {
  getItem: (key) => kept.get(key) ?? null,
  setItem: (key, value) => kept.set(key, value),
});
define('location', { pathname: '/search', search: '', hash: '' });
define('history', {
  state: null,
  replaceState: (_state, _title, address) => {
    location.search = address.slice(location.pathname.length);
  },
});
const { readLink, writeLink } = await import(pathToFileURL('assets/link.js'));

const searches = `${target}/lookalike/collections/fields/searches`;
const saved = readdirSync(searches)
  .filter((name) => name.endsWith('.json'))
  .map((name) => JSON.parse(readFileSync(`${searches}/${name}`, 'utf8')));
const fromChip = saved.find(({ recipe }) => recipe.chip);
const fromPicture = saved.find(({ recipe }) => recipe.picture);
const [first, second, third, fourth] = fromChip.hits.map(([chip]) => chip);
const ring = [[6.4, 46.45], [6.43, 46.45], [6.43, 46.4712345], [6.4, 46.45]];
const hole = [[6.41, 46.452], [6.412, 46.452], [6.412, 46.453], [6.41, 46.452]];

const EMPTY = {
  query: null, good: [], bad: [], marks: {}, least: 0, page: 0, filters: {},
  options: { k: 10, suppress: true, any_orientation: false, any_scale: false },
  merged: false, heat: false, inside: false, panel: false, reopened: null,
};
const STATES = {
  'a search from a chip': {
    query: { kind: 'chip', chip: first },
    good: [second], bad: [third],
    marks: { [second]: 'good', [third]: 'bad', [fourth]: 'good' },
    options: { k: 25, suppress: false, any_orientation: true, any_scale: true },
    least: 0.35, page: 1, merged: true, heat: true, inside: true, panel: true,
    filters: {
      within: { type: 'Polygon', coordinates: [ring, hole] },
      scenes: ['fields-20160816-5327db5f'], since: '2016-08-01', until: '2016-08-31',
      max_nodata: 20, min_sharpness: 1.5, away: 640,
    },
  },
  'a search from a picture': {
    query: { kind: 'picture', picture: fromPicture.recipe.picture },
  },
  'a search from a box': { query: { kind: 'box', box: [6.401, 46.452, 6.4123456, 46.46] } },
  'a search from examples': { query: { kind: 'examples' }, good: [first, second] },
  'a saved search': { reopened: { id: fromChip.id }, marks: { [first]: 'good', [third]: 'bad' } },
  'an empty page': {},
};

const links = Object.entries(STATES).map(([of, changes]) => {
  location.search = '';
  writeLink('fields', { ...EMPTY, ...changes });
  const link = location.pathname + location.search;
  kept.clear(); // as whoever opens it in another tab
  return { of, link, opens: readLink('fields') };
});
writeFileSync(`${target}/links.json`, `${JSON.stringify(links, null, 1)}\n`);

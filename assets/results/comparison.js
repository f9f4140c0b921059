// Two saved searches side by side: what both found, and what each found alone.
import { backLink } from '../shared/back_link.js';
import { h } from '../shared/dom.js';
import { formatCount, formatScore, plural } from '../shared/format.js';
import { chipPicture } from '../shared/pictures.js';
import { percent } from './precision.js';
import { searchPage } from './saved_searches.js';

const MOST = 400; // pictures in a column

export const showComparison = (context) => show(context, places(context));
export const showObjectComparison = (context) => show(context, objects(context));

// What differs between searches of places and of objects.
const places = ({ saved, go }) => ({
  open: saved.open,
  compare: saved.compare,
  found: ['place was', 'places were'],
  name: 'Hit',
  picture: (search, hit) => saved.chip(search, hit.id, 256),
  head(search) {
    const onclick = () => go({ collection: search.collection, search: search.id });
    const image = search.picture ? saved.picture(search) : null;
    return h('button', { class: 'lk-compared', type: 'button', onclick }, ...headOf(search, image));
  },
});

const objects = ({ saved, data }) => ({
  open: async (search) => (await saved.openObjects(search)).search,
  compare: saved.compareObjects,
  found: ['object was', 'objects were'],
  name: 'Object',
  picture: (_, found) => saved.object(found),
  head(search) {
    const image = search.best ? saved.object(search.best) : null;
    return h('a', { class: 'lk-compared', href: searchPage(data.base, search), target: '_self' }, ...headOf(search, image));
  },
});

const headOf = (search, image) => [
  image ? h('img', { src: image, alt: '' }) : null,
  h('span', {}, h('strong', {}, search.name), h('span', { class: 'lk-muted' }, search.collection_title)),
];

async function show({ body, go, asked, current }, kind) {
  const [first, second, found] = await Promise.all([
    kind.open(asked),
    kind.open(asked.other),
    kind.compare(asked, asked.other),
  ]);
  if (!current()) return;
  body.replaceChildren(
    h(
      'header',
      { class: 'lk-compare-head' },
      backLink('All results', () => go({})),
      h('h1', {}, 'Compare'),
      h('p', { class: 'lk-words' }, sentence(found, first, second, kind)),
    ),
    h(
      'div',
      { class: 'lk-trio' },
      column(first, found.first, kind),
      sharedColumn(found.both, first, kind),
      column(second, found.second, kind),
    ),
  );
}

function sentence({ agreement, both, first, second }, one, other, { found }) {
  return (
    `${plural(both.length, ...found)} found by both (${percent(agreement)} of all). ` +
    `${formatCount(first.length)} only by “${one.name}”, ${formatCount(second.length)} only by “${other.name}”.`
  );
}

function column(search, hits, kind) {
  return h(
    'section',
    { class: 'lk-panel' },
    kind.head(search),
    h('h2', {}, `Only here: ${formatCount(hits.length)}`),
    ...grid(hits, (hit) => thumb(search, hit, formatScore(hit.score), kind)),
  );
}

function sharedColumn(pairs, first, kind) {
  const words = ([one, other]) => `${formatScore(one.score)} | ${formatScore(other.score)}`;
  return h(
    'section',
    { class: 'lk-panel lk-both' },
    h('h2', {}, `Both: ${formatCount(pairs.length)}`),
    ...grid(pairs, (pair) => thumb(first, pair[0], words(pair), kind)),
  );
}

function grid(items, draw) {
  if (!items.length) return [h('p', { class: 'lk-muted' }, 'None.')];
  const rest = items.length - MOST;
  return [
    h('ol', { class: 'lk-hits lk-small' }, ...items.slice(0, MOST).map(draw)),
    rest > 0 ? h('p', { class: 'lk-muted' }, `${formatCount(rest)} more.`) : null,
  ];
}

function thumb(search, hit, words, { picture, name }) {
  return h(
    'li',
    { class: 'lk-hit' },
    chipPicture(picture(search, hit), { alt: `${name} ${hit.rank}` }),
    h('span', { class: 'lk-score' }, words),
  );
}

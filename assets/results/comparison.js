// Two saved searches side by side: what both found, and what each found alone.
import { h } from '../shared/dom.js';
import { formatCount, formatScore, plural } from '../shared/format.js';
import { chipPicture } from '../shared/pictures.js';
import { backLink } from './back_link.js';
import { percent } from './precision.js';

export async function showComparison({ body, saved, go, asked, current }) {
  const [first, second, found] = await Promise.all([
    saved.open(asked),
    saved.open(asked.other),
    saved.compare(asked, asked.other),
  ]);
  if (!current()) return;
  const both = found.both.length;
  body.replaceChildren(
    h(
      'header',
      { class: 'lk-compare-head' },
      backLink('All results', () => go({})),
      h('h1', {}, 'Compare'),
      h('p', { class: 'lk-words' }, sentence(both, found, first, second)),
    ),
    h(
      'div',
      { class: 'lk-trio' },
      column(first, found.first, 'Only here', saved, go),
      sharedColumn(found.both, first, saved),
      column(second, found.second, 'Only here', saved, go),
    ),
  );
}

function sentence(both, { agreement, first, second }, one, other) {
  return (
    `${plural(both, 'place was', 'places were')} found by both (${percent(agreement)} of all). ` +
    `${formatCount(first.length)} only by “${one.name}”, ${formatCount(second.length)} only by “${other.name}”.`
  );
}

function column(search, hits, words, saved, go) {
  const open = () => go({ collection: search.collection, search: search.id });
  return h(
    'section',
    { class: 'lk-panel' },
    h(
      'button',
      { class: 'lk-compared', type: 'button', onclick: open },
      search.picture ? h('img', { src: saved.picture(search), alt: '' }) : null,
      h('span', {}, h('strong', {}, search.name), h('span', { class: 'lk-muted' }, search.collection_title)),
    ),
    h('h2', {}, `${words}: ${formatCount(hits.length)}`),
    hits.length ? grid(hits.map((hit) => thumb(search, hit, formatScore(hit.score), saved))) : none(),
  );
}

function sharedColumn(pairs, first, saved) {
  const words = ([one, other]) => `${formatScore(one.score)} | ${formatScore(other.score)}`;
  return h(
    'section',
    { class: 'lk-panel lk-both' },
    h('h2', {}, `Both: ${formatCount(pairs.length)}`),
    pairs.length ? grid(pairs.map((pair) => thumb(first, pair[0], words(pair), saved))) : none(),
  );
}

const none = () => h('p', { class: 'lk-muted' }, 'None.');
const grid = (items) => h('ol', { class: 'lk-hits lk-small' }, ...items);

function thumb(search, hit, words, saved) {
  const source = saved.chip(search, hit.id, 256);
  return h(
    'li',
    { class: 'lk-hit' },
    chipPicture(source, { alt: `Hit ${hit.rank}` }),
    h('span', { class: 'lk-score' }, words),
  );
}

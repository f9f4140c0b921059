// Two saved searches side by side: what both found, and what each found alone.
import { count, h, icon, score } from '../shared/dom.js';
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
      h('button', { class: 'lk-link', type: 'button', onclick: () => go({}) }, icon('back'), 'All results'),
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
  const places = both === 1 ? 'One place is' : `${count(both)} places are`;
  return (
    `${places} found by both, ${percent(agreement)} of all. ` +
    `${count(first.length)} only by “${one.name}”, ${count(second.length)} only by “${other.name}”.`
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
    h('h2', {}, `${words}: ${count(hits.length)}`),
    hits.length ? grid(hits.map((hit) => thumb(search, hit, score(hit.score), saved))) : none(),
  );
}

function sharedColumn(pairs, first, saved) {
  const words = ([one, other]) => `${score(one.score)} | ${score(other.score)}`;
  return h(
    'section',
    { class: 'lk-panel lk-both' },
    h('h2', {}, `Both: ${count(pairs.length)}`),
    pairs.length ? grid(pairs.map((pair) => thumb(first, pair[0], words(pair), saved))) : none(),
  );
}

const none = () => h('p', { class: 'lk-muted' }, 'None.');
const grid = (items) => h('ol', { class: 'lk-hits lk-small' }, ...items);

function thumb(search, hit, words, saved) {
  const picture = saved.chip(search, hit.id, 256);
  return h(
    'li',
    { class: 'lk-hit' },
    h('img', { src: picture, alt: `Hit ${hit.rank}`, width: 256, height: 256, loading: 'lazy' }),
    h('span', { class: 'lk-score' }, words),
  );
}

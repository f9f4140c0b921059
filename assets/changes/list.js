// Beside the map of changes: the query, and a gallery each of what came, went and stayed.
import { chanceSentence, chanceWords } from '../shared/chance.js';
import { coordinates } from '../shared/coordinates.js';
import { h, iconButton, TOUCH } from '../shared/dom.js';
import { formatCount, formatDay, formatPlace, formatScore, plural } from '../shared/format.js';
import { chipPicture } from '../shared/pictures.js';
import { rankMark } from '../shared/ranks.js';
import { stopAll } from '../shared/stops.js';
import { viewChoice } from '../shared/view_choice.js';
import { KINDS, picturedDate } from './kinds.js';

export function createChangesList(context) {
  const { root, store } = context;
  const pane = root.querySelector('.lk-gallery');
  const card = h('div', {});
  const views = viewChoice(context);
  const head = h('div', { class: 'lk-query' }, card, views.element);
  const summary = h('p', { class: 'lk-summary', role: 'status' });
  const lists = Object.keys(KINDS).map((kind) => gallery(kind, context));
  pane.replaceChildren(head, summary, ...lists.map((list) => list.element));
  const stops = [
    views.stop,
    store.watch(['query', 'good'], (state) => card.replaceChildren(queryCard(state, context))),
    store.watch(['found', 'busy'], (state) => (summary.textContent = summaryText(state))),
    ...lists.map((list) => list.stop),
  ];
  return { stop: () => stopAll(stops) };
}

function summaryText({ found }) {
  if (!found) return '';
  const { matched, unmatched, appeared, disappeared, persists } = found;
  const nothing = !appeared.length && !disappeared.length && !persists.length;
  const bare = unmatched ? `; ${plural(unmatched, 'chip')} covered by only one date` : '';
  const hint = nothing ? ' No matches: lower the similarity threshold.' : '';
  return `${plural(matched, 'place')} compared${bare}.${hint}`;
}

function queryCard({ query, good }, { service, data, actions }) {
  if (!query) {
    return h(
      'div',
      { class: 'lk-invitation' },
      h('h2', {}, `${TOUCH ? 'Tap' : 'Click'} something on the map`),
      h(
        'p',
        {},
        'A pond, a building site, a clearing: see where similar things appeared, disappeared or ' +
          'stayed between the two dates. Your last search on the Search page carries over.',
      ),
    );
  }
  const { version, name } = data.collection;
  const picture = {
    chip: () => service.chip(query.chip, 128, version),
    picture: () => service.picture(query.picture),
    box: () => service.box(query.box),
    examples: () => service.chip(good[0], 128, version),
  }[query.kind]();
  const search = new URLSearchParams(location.search);
  for (const field of ['before', 'after', 'threshold', 'k']) search.delete(field);
  search.set('collection', name);
  const title = query.kind === 'chip' ? 'Similar to this chip' : 'Similar to your query';
  return h(
    'div',
    { class: 'lk-query-card' },
    h('img', { src: picture, alt: 'Query' }),
    h(
      'div',
      { class: 'lk-query-words' },
      h('h2', {}, title),
      query.lon === undefined ? null : coordinates(query),
      query.datetime ? h('span', { class: 'lk-muted' }, formatDay(query.datetime)) : null,
      h('a', { href: `${data.base}/search?${search}`, target: '_self' }, 'Open in Search'),
    ),
    iconButton('clear', 'Clear query', actions.clear, { title: 'Clear' }),
  );
}

function gallery(kind, context) {
  const { store } = context;
  const { title, words, colour, dash } = KINDS[kind];
  const shown = h('input', { type: 'checkbox', checked: true, 'aria-label': `Show on the map: ${title}` });
  shown.addEventListener('change', () => {
    const others = store.state.hidden.filter((other) => other !== kind);
    store.set({ hidden: shown.checked ? others : [...others, kind] });
  });
  const swatch = h('span', { class: 'lk-swatch' });
  swatch.style.border = `2px ${dash ? 'dashed' : 'solid'} ${colour}`;
  const number = h('span', { class: 'lk-number' });
  const list = h('ol', { class: 'lk-pairs', 'aria-label': title });
  const element = h(
    'section',
    { class: 'lk-kind', 'data-kind': kind },
    h('h2', {}, h('label', {}, shown, swatch, title, number)),
    h('p', { class: 'lk-muted' }, words),
    list,
  );
  const stops = [
    store.watch(['found'], ({ found }) => {
      element.hidden = !found;
      const places = found?.[kind] || [];
      number.textContent = formatCount(places.length);
      list.replaceChildren(...places.map((one, at) => card(kind, one, at, context)));
    }),
    store.watch(['selected', 'found'], ({ selected }) => {
      [...list.children].forEach((item, at) => {
        const on = selected?.kind === kind && selected.at === at;
        item.classList.toggle('lk-selected', on);
        item.querySelector('button').setAttribute('aria-pressed', on);
      });
    }),
  ];
  return { element, stop: () => stopAll(stops) };
}

function card(kind, change, at, { store, service, data, map }) {
  const { before, after, geometry, rank } = change;
  const { colour } = KINDS[kind];
  const [lon, lat] = middle(geometry);
  const shown = kind === 'disappeared' ? before : after;
  const picture = (hit) =>
    h(
      'span',
      { class: 'lk-day' },
      chipPicture(service.chip(hit.id, 256, data.collection.version), { eager: at < 6 }),
      h('span', { class: 'lk-score', title: `${formatDay(hit.datetime)}. ${chanceSentence(hit.by_chance)}` }, formatScore(hit.score)),
    );
  const select = () => {
    store.set({ selected: { kind, at }, pictured: store.state[picturedDate(kind)] });
    map.reveal(change);
  };
  const label = `${KINDS[kind].title} ${rank}: ${formatScore(before.score)} before, ${formatScore(after.score)} after, at ${formatPlace(lon, lat)}`;
  return h(
    'li',
    { class: 'lk-card' },
    h(
      'button',
      { class: 'lk-pick lk-pair', type: 'button', 'aria-label': label, onclick: select },
      picture(before),
      picture(after),
      rankMark(rank, colour),
    ),
    h(
      'div',
      { class: 'lk-card-words' },
      coordinates({ lon, lat }),
      h('span', { class: 'lk-muted' }, `${formatDay(before.datetime)} → ${formatDay(after.datetime)}`),
      h('span', { class: 'lk-muted lk-chance', title: chanceSentence(shown.by_chance) }, chanceWords(shown.by_chance)),
    ),
  );
}

function middle({ coordinates: [corners] }) {
  const four = corners.slice(0, 4);
  return [0, 1].map((axis) => four.reduce((sum, at) => sum + at[axis], 0) / four.length);
}

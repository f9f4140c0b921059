// The gallery: the query on top, the results with their pictures, scores, places and days.
import { byWhom } from '../shared/author.js';
import { chanceSentence, chanceWords } from '../shared/chance.js';
import { coordinates } from '../shared/coordinates.js';
import { h, iconButton, TOUCH } from '../shared/dom.js';
import { formatCount, formatDay, formatPlace, formatScore } from '../shared/format.js';
import { chipPicture } from '../shared/pictures.js';
import { rankColour, rankMark } from '../shared/ranks.js';
import { queryKey } from '../shared/recipe.js';
import { stopAll } from '../shared/stops.js';
import { showMatchOverlay } from './match_overlay.js';
import { firstOf, onPage, PAGE, pagesOf } from './paging.js';
import { createQueryCard } from './query_card.js';
import { createRefineBar } from './refine_bar.js';

export function createGallery(context) {
  const { store, root, actions, data } = context;
  const pane = root.querySelector('.lk-gallery');
  const head = h('div', { class: 'lk-query' });
  const bar = h('div', { class: 'lk-refine' });
  const list = h('ol', { class: 'lk-cards', 'aria-label': 'Results, best first' });
  const pager = h('nav', { class: 'lk-pager', 'aria-label': 'Result pages' });
  pane.replaceChildren(head, bar, list, pager);
  const drop = acceptDrops(root, actions.searchPicture);

  const drawList = (state) => {
    const { shown, query, busy, options } = state;
    const waiting = query && busy && !shown.length;
    const first = firstOf(state);
    const cards = onPage(state).map((hit, k) => drawCard(hit, first + k, shown.length, context));
    list.replaceChildren(...(waiting ? skeletons(options.k) : cards));
    drawPager(pager, state, actions);
  };
  let asked = '';
  // What a new query finds is read from its best on, unless one of it was chosen before.
  const begin = (state) => {
    if (queryKey(state) === asked) return;
    asked = queryKey(state);
    if (state.selected < 0) pane.scrollTop = 0;
  };
  const stops = [
    createQueryCard(head, () => invitation(data.collection), context),
    createRefineBar(bar, context),
    store.watch(['shown', 'page'], drawList),
    store.watch(['shown'], begin),
    // Skeletons come and go with the search; cards that stay are not made again.
    store.watch(['busy', 'query'], (state) => !state.shown.length && drawList(state)),
    store.watch(['marks', 'authors', 'shown', 'page'], (state) => showMarks(list, state)),
    store.watch(['selected', 'shown', 'page'], (state) => markSelected(list, state)),
    store.watch(['hovered', 'shown', 'page'], (state) => markHovered(list, state)),
    showMatchOverlay(pane, list, context),
  ];
  return { stop: () => stopAll([...stops, drop]) };
}

function invitation({ chips, title }) {
  return h(
    'div',
    { class: 'lk-invitation' },
    h('h2', {}, `${TOUCH ? 'Tap' : 'Click'} something on the map`),
    h(
      'p',
      {},
      `Lookalike compares it with all ${formatCount(chips)} chips of ${title} and shows the most ` +
        'similar places here and on the map.',
    ),
    h(
      'p',
      {},
      TOUCH
        ? 'Or draw a box around it, or choose a picture.'
        : 'Or draw a box around it, or drop a picture here.',
    ),
    TOUCH ? null : shortcuts(),
  );
}

function shortcuts() {
  const row = (keys, what) =>
    h('div', {}, h('dt', {}, ...keys.map((key) => h('kbd', {}, key))), h('dd', {}, what));
  return h(
    'dl',
    { class: 'lk-keys' },
    row(['←', '↑', '↓', '→'], 'step through results or chips'),
    row(['Enter'], 'search from the selection'),
    row(['G', 'B'], 'mark as good or bad'),
    row(['?'], 'all shortcuts'),
  );
}

function drawCard(hit, at, total, { service, data, actions, map, store }) {
  const where = formatPlace(hit.lon, hit.lat);
  const source = service.chip(hit.id, 256, data.collection.version);
  const several = hit.count > 1 ? `, ${hit.count} overlapping hits` : '';
  const pick = h(
    'button',
    {
      class: 'lk-pick',
      type: 'button',
      'aria-label': `Result ${hit.rank}, similarity ${formatScore(hit.score)} (${chanceWords(hit.by_chance) || 'chance unknown'}), at ${where}${several}`,
      onclick: (event) => (event.shiftKey ? actions.toggleExample(hit) : actions.select(at)),
      ondblclick: () => map.zoomTo(at),
      onfocus: () => store.set({ hovered: at }),
      onblur: () => store.set({ hovered: -1 }),
    },
    chipPicture(source, { eager: at % PAGE < 12 }),
    h('canvas', { class: 'lk-inside', width: 8, height: 8, hidden: true }),
    rankMark(hit.rank, rankColour(hit.rank, total)),
    hit.count > 1 ? h('span', { class: 'lk-count' }, `${hit.count} hits`) : null,
    h('span', { class: 'lk-score', title: `Similarity; 1 is identical. ${chanceSentence(hit.by_chance)}` }, formatScore(hit.score)),
  );
  return h(
    'li',
    {
      class: 'lk-card',
      'data-chip': hit.id,
      onmouseenter: () => store.set({ hovered: at }),
      onmouseleave: () => store.set({ hovered: -1 }),
    },
    pick,
    h(
      'span',
      { class: 'lk-verdicts' },
      verdict('good', `Mark result ${hit.rank} as good (G)`, () =>
        actions.mark(at, 'good'),
      ),
      verdict('bad', `Mark result ${hit.rank} as bad (B)`, () =>
        actions.mark(at, 'bad'),
      ),
    ),
    h(
      'div',
      { class: 'lk-card-words' },
      coordinates(hit),
      h('span', { class: 'lk-muted' }, formatDay(hit.datetime)),
      h(
        'span',
        { class: 'lk-card-tools' },
        iconButton('zoom', `Zoom to result ${hit.rank}`, () => map.zoomTo(at)),
        iconButton('search', `Search from result ${hit.rank}`, () => actions.searchHit(at)),
      ),
      h('span', { class: 'lk-muted lk-chance', title: chanceSentence(hit.by_chance) }, chanceWords(hit.by_chance)),
    ),
  );
}

function verdict(kind, title, onclick) {
  const look = { class: 'lk-verdict', 'data-kind': kind, 'aria-pressed': 'false' };
  return iconButton(kind, title, onclick, look);
}

function drawPager(pager, state, actions) {
  const pages = pagesOf(state);
  pager.hidden = pages < 2;
  if (pages < 2) return pager.replaceChildren();
  const { page, shown } = state;
  const first = firstOf(state);
  const last = first + onPage(state).length;
  const turn = (to, title, turned) => {
    const outside = to < 0 || to >= pages;
    const button = iconButton('back', title, () => actions.turnTo(to), { disabled: outside });
    if (turned) button.classList.add('lk-turned');
    return button;
  };
  return pager.replaceChildren(
    turn(page - 1, 'Previous page'),
    h('span', { role: 'status' }, `${formatCount(first + 1)}–${formatCount(last)} of ${formatCount(shown.length)}`),
    turn(page + 1, 'Next page', true),
  );
}

function skeletons(wanted) {
  return Array.from({ length: Math.min(wanted, 12) }, () =>
    h('li', { class: 'lk-card lk-waiting', 'aria-hidden': true }, h('div', { class: 'lk-skeleton' })),
  );
}

const WORDS = { good: 'Good', bad: 'Bad' };

function showMarks(list, { marks, authors }) {
  for (const card of list.children) {
    const mark = marks[card.dataset.chip];
    card.classList.toggle('lk-is-good', mark === 'good');
    card.classList.toggle('lk-is-bad', mark === 'bad');
    for (const button of card.querySelectorAll('.lk-verdict')) {
      const pressed = button.dataset.kind === mark;
      button.setAttribute('aria-pressed', pressed);
      const who = authors[card.dataset.chip];
      button.title = pressed ? byWhom(WORDS[mark], who) : button.getAttribute('aria-label');
    }
  }
}

function markSelected(list, state) {
  const first = firstOf(state);
  [...list.children].forEach((card, k) => {
    const on = first + k === state.selected;
    if (on && !card.classList.contains('lk-selected')) bringForward(list, card);
    card.classList.toggle('lk-selected', on);
    card.querySelector('.lk-pick')?.setAttribute('aria-pressed', on);
  });
}

// Scrolls the list alone, never the page, and moves the focus if it was in the list.
function bringForward(list, card) {
  const pane = list.parentElement;
  const [frame, box] = [pane.getBoundingClientRect(), card.getBoundingClientRect()];
  const top = pane.querySelector('.lk-refine').getBoundingClientRect().height;
  if (box.top < frame.top + top) pane.scrollTop += box.top - frame.top - top - 8;
  else if (box.bottom > frame.bottom) pane.scrollTop += box.bottom - frame.bottom + 8;
  if (list.contains(document.activeElement)) {
    card.querySelector('.lk-pick')?.focus({ preventScroll: true });
  }
}

function markHovered(list, state) {
  const first = firstOf(state);
  [...list.children].forEach((card, k) =>
    card.classList.toggle('lk-hovered', first + k === state.hovered),
  );
}

export function acceptDrops(root, take) {
  const over = (event) => {
    if (![...event.dataTransfer.types].includes('Files')) return;
    event.preventDefault();
    root.classList.add('lk-dropping');
  };
  const leave = () => root.classList.remove('lk-dropping');
  const drop = (event) => {
    leave();
    const [file] = event.dataTransfer.files;
    if (!file) return;
    event.preventDefault();
    take(file);
  };
  root.addEventListener('dragover', over);
  root.addEventListener('dragleave', leave);
  root.addEventListener('drop', drop);
  return () => {
    root.removeEventListener('dragover', over);
    root.removeEventListener('dragleave', leave);
    root.removeEventListener('drop', drop);
  };
}

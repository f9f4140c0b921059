// The gallery of object search: what was looked for, and every object with a tight picture.
import { byWhom } from '../../shared/author.js';
import { chanceSentence, chanceWords } from '../../shared/chance.js';
import { coordinates } from '../../shared/coordinates.js';
import { h, icon, iconButton, TOUCH } from '../../shared/dom.js';
import { keepingFocus } from '../../shared/focus.js';
import { formatCount, formatDay, formatPlace, formatScore, plural } from '../../shared/format.js';
import { rankColour, rankMark } from '../../shared/ranks.js';
import { stopAll } from '../../shared/stops.js';
import { acceptDrops } from '../gallery.js';
import { firstOf, onPage, pagesOf } from '../paging.js';
import { MOST } from './actions.js';
import { savePanel } from './detectors.js';
import { markOf, placeKey } from './place_marks.js';
import { checkWords } from './saved.js';
import { started } from './start.js';
import { drawTray } from './tray.js';

export function createObjectGallery(context) {
  const { store, root } = context;
  const pane = root.querySelector('.lk-gallery');
  const head = h('div', { class: 'lk-query' });
  const tray = h('section', { class: 'lk-tray', 'aria-label': 'What to judge next', tabindex: -1, hidden: true });
  const bar = h('div', { class: 'lk-refine' });
  const list = h('ol', { class: 'lk-cards lk-object-cards', 'aria-label': 'Objects, best first', tabindex: -1 });
  const pager = h('nav', { class: 'lk-pager', 'aria-label': 'Object pages' });
  pane.replaceChildren(head, tray, bar, list, pager);
  const stops = [
    store.watch(['answer', 'examples', 'objects', 'detector', 'picture', 'labels', 'filters', 'problem'], (state) => drawHead(head, state, context)),
    store.watch(['judging', 'asked', 'judged', 'marks', 'exhausted'], (state) => keepingFocus(tray, () => drawTray(tray, state, context))),
    store.watch(['shown', 'marks', 'objects', 'hideMarked', 'saving', 'judging', 'saved', 'author', 'goneScenes'], (state) => drawBar(bar, state, context)),
    store.watch(['shown', 'page', 'marks', 'authors'], (state) => keepingFocus(list, () => drawList(list, pager, state, context))),
    store.watch(['selected', 'shown', 'page', 'marks'], (state) => markSelected(list, state)),
  ];
  const drop = acceptDrops(root, context.actions.searchFile);
  return { stop: () => stopAll([...stops, drop]) };
}

function drawHead(head, state, { actions, data }) {
  const { answer, objects } = state;
  if (!data.cells) return head.replaceChildren(withoutCells(data, actions));
  if (!answer) return head.replaceChildren(...(started(state) && !state.problem ? [] : [invitation(data)]));
  const lacking = answer.missing.length
    ? h('p', { class: 'lk-muted' }, `${plural(answer.missing.length, 'scene')} without object cells ${answer.missing.length > 1 ? 'were' : 'was'} not searched. `,
        h('button', { class: 'lk-button', type: 'button', onclick: actions.makeCells }, 'Make object cells'))
    : null;
  const all = objects.length < state.most;
  const some = objects.length ? 'Objects' : 'No object';
  const what = `${all ? some : `The best ${plural(objects.length, 'object')}`} ${likeWhat(state)}`;
  const more = h('button', { class: 'lk-button', type: 'button', onclick: actions.findMore }, `Find up to ${formatCount(MOST)}`);
  const filtered = Object.keys(state.filters).length && !objects.length;
  const everywhere = () =>
    actions.setFilters(Object.fromEntries(Object.keys(state.filters).map((key) => [key, null])));
  return head.replaceChildren(
    h('p', { class: 'lk-summary', role: 'status' }, filtered ? 'No object passes these filters.' : `${what} · ${formatSize(answer.query.object_size)} wide`),
    ...(filtered ? [h('div', { class: 'lk-row' }, h('button', { class: 'lk-button', type: 'button', onclick: everywhere }, 'Clear filters'))] : []),
    ...(all || state.most === MOST || state.saved ? [] : [more]),
    ...(lacking ? [lacking] : []),
    ...answer.notes.map((note) => h('p', { class: 'lk-muted' }, `${note}.`)),
  );
}

function likeWhat({ detector, picture, examples, labels }) {
  if (detector) return `of ${detector.title}`;
  if (picture) return 'like your picture';
  const count = examples.length || labels;
  return `like ${count > 1 ? `${formatCount(count)} examples` : 'this one'}`;
}

function withoutCells({ collection }, actions) {
  return h(
    'div',
    { class: 'lk-invitation' },
    h('h2', {}, 'Object search needs object cells'),
    h('p', {}, `${collection.title} has none yet. Its chips stay as they are.`),
    h('button', { class: 'lk-button lk-primary', type: 'button', onclick: actions.makeCells }, 'Make object cells'),
  );
}

const formatSize = (metres) => (metres >= 1000 ? `${+(metres / 1000).toPrecision(3)} km` : `${+metres.toPrecision(3)} m`);

function invitation({ collection }) {
  return h(
    'div',
    { class: 'lk-invitation' },
    h('h2', {}, `${TOUCH ? 'Tap' : 'Click'} an object on the map`),
    h('p', {}, `Lookalike finds every object of ${collection.title} that looks like it, each at its place. Set the object size first, to about its width.`),
    h('p', {}, TOUCH ? 'Or draw a box or a polygon around it.' : 'Or draw a box or a polygon around it, or drop a picture or a label file here. Shift adds another example; Alt and the wheel change the object size.'),
  );
}

function drawBar(bar, { shown, objects, marks, minScore, hideMarked, saving, judging, saved, goneScenes }, { actions, author, service }) {
  bar.hidden = judging;
  if (!objects.length) return bar.replaceChildren();
  const below = objects.length - shown.length;
  const words = shown.length
    ? `${formatCount(shown.length)} shown${below ? `, ${formatCount(below)} hidden` : ''}`
    : `Nothing above ${formatScore(minScore)}`;
  const lower = shown.length
    ? null
    : h('button', { class: 'lk-button', type: 'button', onclick: () => actions.setMinScore(0, true) }, 'Lower the minimum score');
  const counts = [...marks.values()].filter(Boolean);
  const check = saved?.check && h('a', { class: 'lk-muted', href: service.checkPage(saved.id), target: '_self' }, checkWords(saved.check, minScore));
  const hide = iconButton('hide', 'Hide marked', () => actions.toggle('hideMarked'), { class: 'lk-button lk-toggle lk-hide', title: 'Hide marked objects in list and map', 'aria-pressed': String(hideMarked) });
  const naming = saving?.state === 'asking';
  const save = savePanel(saving, counts, actions);
  return bar.replaceChildren(
    h('div', { class: 'lk-row' }, h('span', { class: 'lk-muted' }, words), lower, h('span', { class: 'lk-push' }),
      counts.length ? h('span', { class: 'lk-marked' }, `${counts.filter((mark) => mark === 'good').length} good, ${counts.filter((mark) => mark === 'bad').length} bad`) : null,
      counts.length || hideMarked ? hide : null),
    ...(goneScenes ? [h('p', { class: 'lk-muted', role: 'status' }, `Some marks are on ${goneScenes > 1 ? `${goneScenes} scenes that are` : 'a scene that is'} no longer in the collection. Everything else is used; the marks are kept.`)] : []),
    ...(check ? [h('p', {}, check, ' · ', h('a', { class: 'lk-muted', href: service.censusPage({ saved: saved.id }), target: '_self' }, 'Start a census'))] : []),
    h('div', { class: 'lk-row' },
      h('button', { class: 'lk-button lk-primary', type: 'button', onclick: actions.openTray }, 'Judge'),
      counts.length ? h('button', { class: 'lk-button', type: 'button', onclick: actions.refine }, 'Refine') : null,
      counts.length ? h('span', { class: 'lk-who' }, author.button()) : null,
      ...(naming ? [] : [h('span', { class: 'lk-push' }), save])),
    ...(naming ? [save] : []),
  );
}

function drawList(list, pager, state, context) {
  const first = firstOf(state);
  list.replaceChildren(...onPage(state).map((found, k) => drawCard(found, first + k, state, context)));
  const last = pagesOf(state);
  const turn = (to, words) =>
    h('button', { class: 'lk-button', type: 'button', disabled: to < 0 || to >= last, onclick: () => context.actions.turnTo(to) }, words);
  pager.hidden = last < 2;
  pager.replaceChildren(turn(state.page - 1, 'Back'), h('span', {}, `${state.page + 1} of ${last}`), turn(state.page + 1, 'Next'));
}

function drawCard(found, at, { shown, marks, authors }, { service, actions, store }) {
  const where = formatPlace(found.lon, found.lat);
  const score = found.probability === null ? formatScore(found.score) : `${Math.round(100 * found.probability)}%`;
  const mark = markOf(found, marks);
  const pick = h(
    'button',
    {
      class: 'lk-pick',
      type: 'button',
      'aria-label': `Object ${found.rank}, score ${score}, at ${where}`,
      onclick: () => actions.select(at),
      onfocus: () => store.set({ hovered: at }),
      onblur: () => store.set({ hovered: -1 }),
    },
    h('img', { src: service.picture(found), alt: '', loading: 'lazy', width: 160, height: 160 }),
    rankMark(found.rank, rankColour(at + 1, shown.length)),
    h('span', { class: 'lk-score', title: chanceSentence(found.by_chance, 'window') }, score),
  );
  const titleOf = (kind, words) => (mark === kind ? byWhom(words, authors.get(placeKey(found))) : words);
  const verdict = (kind, words) =>
    h('button', { class: 'lk-verdict', type: 'button', 'data-kind': kind, title: titleOf(kind, words), 'aria-label': words, 'aria-pressed': String(mark === kind), onclick: () => actions.mark(at, kind) }, icon(kind));
  return h(
    'li',
    {
      class: `lk-card${mark ? ` lk-is-${mark}` : ''}`,
      'data-object': found.id,
      onmouseenter: () => store.set({ hovered: at }),
      onmouseleave: () => store.set({ hovered: -1 }),
    },
    pick,
    h('span', { class: 'lk-verdicts' }, verdict('good', `Mark object ${found.rank} as good (G)`), verdict('bad', `Mark object ${found.rank} as bad (B)`)),
    h('div', { class: 'lk-card-words' }, coordinates(found), h('span', { class: 'lk-muted' }, `${formatSize(Math.max(found.width_m, found.height_m))} · ${formatDay(found.datetime)}`),
      h('span', { class: 'lk-muted lk-chance', title: chanceSentence(found.by_chance, 'window') }, chanceWords(found.by_chance))),
  );
}

function markSelected(list, state) {
  const first = firstOf(state);
  [...list.children].forEach((card, k) => {
    const on = first + k === state.selected;
    card.classList.toggle('lk-selected', on);
    card.querySelector('.lk-pick').setAttribute('aria-pressed', on);
    if (on) card.scrollIntoView({ block: 'nearest' });
  });
}

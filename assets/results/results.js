// The Results page's component: saved searches, one of them, its review, two side by side.
import { h, icon } from '../shared/dom.js';
import { showComparison } from './comparison.js';
import { expose } from '../shared/idle.js';
import { createSaved } from './saved_searches.js';
import { showList } from './saved_list.js';
import { showReview } from './review.js';
import { showSearch } from './saved_search.js';
import { createTravel } from '../shared/history.js';

const VIEWS = { list: showList, search: showSearch, review: showReview, compare: showComparison };
const pages = new WeakMap();

// Called at first and on every rerun; returns what to do when the element goes away.
export function mount({ data, parentElement }) {
  const root = parentElement.querySelector('.lk-results');
  if (!pages.has(root)) pages.set(root, start(root, data));
  return pages.get(root).stop;
}

function start(root, data) {
  const body = h('div', { class: 'lk-view' });
  const note = h('div', { class: 'lk-note', role: 'alert', hidden: true });
  root.replaceChildren(body, note);
  let leave = () => {}; // what the view shown wants done when another takes its place
  let turn = 0;
  const steps = createTravel('results', show);

  const context = { root, body, data, saved: createSaved(data.base), go, fail, address };

  // Shows what the address asks for.
  async function show() {
    const mine = ++turn;
    leave();
    leave = () => {};
    note.hidden = true;
    const asked = readAddress();
    root.dataset.state = 'loading';
    root.dataset.view = asked.view;
    const timer = setTimeout(() => mine === turn && waiting(body), 150);
    try {
      const left = await VIEWS[asked.view]({ ...context, asked, current: () => mine === turn });
      if (mine === turn) leave = left || leave;
      else left?.();
    } catch (refusal) {
      if (mine === turn) lost(context, refusal);
    } finally {
      clearTimeout(timer);
      if (mine === turn) root.dataset.state = 'live';
    }
  }

  function go(fields) {
    if (!steps.here()) return; // another page is on its way
    const place = new URL(address(fields), location.href).href;
    if (place !== location.href) history.pushState(history.state, '', place); // no double click
    show();
    root.closest('[data-testid=stMain]')?.scrollTo(0, 0);
  }

  function fail(refusal) {
    if (!refusal.message) return;
    note.hidden = false;
    const close = { class: 'lk-ghost', type: 'button', 'aria-label': 'Dismiss' };
    note.replaceChildren(
      words(refusal),
      h('button', { ...close, onclick: () => (note.hidden = true) }, icon('clear')),
    );
  }

  show();
  expose({});
  const stop = () => {
    turn++;
    leave();
    steps.end();
    pages.delete(root);
  };
  return { stop };
}

function readAddress() {
  const fields = new URLSearchParams(location.search);
  const [collection, id] = [fields.get('collection'), fields.get('search')];
  if (!collection || !id) return { view: 'list' };
  const [other, otherId] = (fields.get('with') || '').split('/');
  if (otherId) return { view: 'compare', collection, id, other: { collection: other, id: otherId } };
  const view = fields.get('view') === 'review' ? 'review' : 'search';
  return { view, collection, id, from: fields.get('from') };
}

function address(fields) {
  const text = new URLSearchParams(fields).toString();
  return text ? `${location.pathname}?${text}` : location.pathname;
}

function words({ message, detail, remedy }) {
  const sentence = (text) => (/[.!?…]$/.test(text) ? text : `${text}.`);
  return h(
    'div',
    {},
    h('strong', {}, sentence(message)),
    detail ? h('code', {}, detail) : null,
    remedy ? h('p', {}, sentence(remedy)) : null,
  );
}

// A search, or its collection, that is no longer there.
function lost({ body, go, data }, refusal) {
  const trash = `${location.origin}${data.base}/collections`;
  body.replaceChildren(
    h(
      'section',
      { class: 'lk-blank' },
      h('h2', {}, 'This saved search cannot be shown'),
      words(refusal),
      h(
        'p',
        { class: 'lk-muted' },
        'Saved searches lie with their collection. If it was deleted, restoring it from the trash ' +
          'brings its searches back.',
      ),
      h(
        'div',
        { class: 'lk-row' },
        h('button', { class: 'lk-button', type: 'button', onclick: () => go({}) }, 'All results'),
        h('a', { class: 'lk-button', href: trash, target: '_self' }, 'Open the trash'),
      ),
    ),
  );
}

function waiting(body) {
  const row = () => h('div', { class: 'lk-skeleton lk-waiting-row', 'aria-hidden': true });
  body.replaceChildren(h('p', { class: 'lk-offscreen', role: 'status' }, 'Loading'), row(), row());
}

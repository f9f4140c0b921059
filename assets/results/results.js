// The Results page's component: saved searches, one of them, its review and check, two side by side.
import { createAuthor } from '../shared/author.js';
import { h } from '../shared/dom.js';
import { createHistory } from '../shared/history.js';
import { expose, later } from '../shared/idle.js';
import { createMount } from '../shared/mount.js';
import { problemNote, problemText } from '../shared/problem.js';
import { showCheck } from './check.js';
import { showComparison, showObjectComparison } from './comparison.js';
import { showReview } from './review.js';
import { showList } from './saved_list.js';
import { showSearch } from './saved_search.js';
import { createSavedSearches } from './saved_searches.js';

const VIEWS = {
  list: showList,
  search: showSearch,
  review: showReview,
  check: showCheck,
  compare: showComparison,
  'compare-objects': showObjectComparison,
};

export const mount = createMount('.lk-results', start);

function start(root, data) {
  const body = h('div', { class: 'lk-view' });
  const note = h('div', { class: 'lk-problem', role: 'alert', hidden: true });
  root.replaceChildren(body, note);
  let leave = () => {}; // cleanup of the current view
  let turn = 0;
  const steps = createHistory('results', show);

  let renamed = () => {};
  const onName = (act) => (renamed = act); // what a view does if the reviewer gives another name
  const author = createAuthor({ root, person: data.person, onName: (...names) => renamed(...names) });
  const saved = createSavedSearches(data.base);
  const context = { root, body, data, saved, go, fail, address, author, onName };

  // Shows what the address asks for.
  async function show() {
    const mine = ++turn;
    leave();
    leave = () => {};
    note.hidden = true;
    const asked = readAddress();
    root.dataset.state = 'loading';
    root.dataset.view = asked.view;
    const showNothing = later('the view', 150, () => mine === turn && showLoading(body));
    try {
      const left = await VIEWS[asked.view]({ ...context, asked, current: () => mine === turn });
      if (mine === turn) leave = left || leave;
      else left?.();
    } catch (refusal) {
      if (mine === turn) showMissing(context, refusal);
    } finally {
      showNothing();
      if (mine === turn) root.dataset.state = 'live';
    }
  }

  function go(fields) {
    if (!steps.ownsAddress()) return; // another page is on its way
    const place = new URL(address(fields), location.href).href;
    if (place !== location.href) history.pushState(history.state, '', place); // no double click
    show();
    root.closest('[data-testid=stMain]')?.scrollTo(0, 0);
  }

  function fail(refusal) {
    if (!refusal.message) return;
    note.hidden = false;
    note.replaceChildren(...problemNote(refusal, () => (note.hidden = true)));
  }

  show();
  expose({});
  return {
    stop() {
      turn++;
      leave();
      author.stop();
      steps.stop();
    },
  };
}

function readAddress() {
  const fields = new URLSearchParams(location.search);
  const [collection, id] = [fields.get('collection'), fields.get('search')];
  if (!collection || !id) return { view: 'list' };
  const [other, otherId] = (fields.get('with') || '').split('/');
  if (otherId) {
    const view = fields.get('kind') === 'objects' ? 'compare-objects' : 'compare';
    return { view, collection, id, other: { collection: other, id: otherId } };
  }
  const kind = fields.get('kind') === 'objects' ? 'objects' : '';
  const wanted = fields.get('view');
  const view = kind || wanted === 'check' ? 'check' : wanted === 'review' ? 'review' : 'search';
  return { view, collection, id, kind, from: fields.get('from'), hide: fields.get('hide') === '1' };
}

function address(fields) {
  const text = new URLSearchParams(fields).toString();
  return text ? `${location.pathname}?${text}` : location.pathname;
}

// A search, or its collection, that is no longer there.
function showMissing({ body, go, data }, refusal) {
  const trash = `${location.origin}${data.base}/collections`;
  body.replaceChildren(
    h(
      'section',
      { class: 'lk-blank' },
      h('h2', {}, 'This saved search cannot be shown'),
      problemText(refusal),
      h(
        'p',
        { class: 'lk-muted' },
        'Saved searches belong to their collection. If it was deleted, restore it from Trash to ' +
          'bring its searches back.',
      ),
      h(
        'div',
        { class: 'lk-row' },
        h('button', { class: 'lk-button', type: 'button', onclick: () => go({}) }, 'All results'),
        h('a', { class: 'lk-button', href: trash, target: '_self' }, 'Open Trash'),
      ),
    ),
  );
}

function showLoading(body) {
  const row = () => h('div', { class: 'lk-skeleton lk-waiting-row', 'aria-hidden': true });
  body.replaceChildren(h('p', { class: 'lk-offscreen', role: 'status' }, 'Loading'), row(), row());
}

// The Results page's component: saved searches, one of them, its review and check, two side by side.
import { createAuthor } from '../shared/author.js';
import { h } from '../shared/dom.js';
import { createMount } from '../shared/mount.js';
import { problemText } from '../shared/problem.js';
import { createViews } from '../shared/views.js';
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
  let renamed = () => {};
  const onName = (act) => (renamed = act); // what a view does if the reviewer gives another name
  const author = createAuthor({ root, person: data.person, onName: (...names) => renamed(...names) });
  const context = { data, saved: createSavedSearches(data.base), author, onName };
  const views = createViews({ root, page: 'results', views: VIEWS, readAddress, context, showMissing });
  return {
    stop() {
      views.stop();
      author.stop();
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

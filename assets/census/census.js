// The Census page's component: the list of censuses, the start of one, judging, and what it says.
import { createAuthor } from '../shared/author.js';
import { h } from '../shared/dom.js';
import { createMount } from '../shared/mount.js';
import { problemText } from '../shared/problem.js';
import { createViews } from '../shared/views.js';
import { createAnswers } from './answers.js';
import { showJudging } from './judge.js';
import { showList } from './list.js';
import { showCensus } from './overview.js';
import { createCensuses } from './service.js';
import { showStart } from './start.js';

const VIEWS = { list: showList, start: showStart, census: showCensus, judge: showJudging };

export const mount = createMount('.lk-census', start);

function start(root, data) {
  let renamed = () => {};
  const onName = (act) => (renamed = act); // what a view does if the reviewer gives another name
  const author = createAuthor({ root, person: data.person, onName: (...names) => renamed(...names) });
  const censuses = createCensuses(data.base);
  const answers = createAnswers(censuses);
  const context = { data, censuses, answers, author, onName };
  const views = createViews({ root, page: 'census', views: VIEWS, readAddress, context, showMissing });
  answers.send(); // what an outage or a reload has left
  return {
    stop() {
      views.stop();
      answers.stop();
      author.stop();
    },
  };
}

// A census is opened by its id; a collection, a detector or a saved search begins one.
function readAddress() {
  const fields = new URLSearchParams(location.search);
  const id = fields.get('census');
  if (id) return { view: fields.get('view') === 'judge' ? 'judge' : 'census', id };
  const wanted = Object.fromEntries(['collection', 'detector', 'saved'].map((name) => [name, fields.get(name) ?? '']));
  return { view: fields.has('new') || Object.values(wanted).some(Boolean) ? 'start' : 'list', ...wanted };
}

function showMissing({ body, go }, refusal) {
  body.replaceChildren(
    h(
      'section',
      { class: 'lk-blank' },
      h('h2', {}, 'This census cannot be shown'),
      problemText(refusal),
      h('div', { class: 'lk-row' }, h('button', { class: 'lk-button', type: 'button', onclick: () => go({}) }, 'All censuses')),
    ),
  );
}

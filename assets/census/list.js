// All censuses, the latest first; without any, what a census is.
import { h, iconButton } from '../shared/dom.js';
import { formatCount, formatDay, plural } from '../shared/format.js';
import { imageryOf } from './words.js';

export async function showList({ body, censuses, go, fail }) {
  let all = await censuses.all();
  const note = h('p', { class: 'lk-aside', role: 'status', hidden: true });
  const begin = h('button', { class: 'lk-button lk-primary', type: 'button', onclick: () => go({ new: 1 }) }, 'Start a census');
  const tools = h('div', { class: 'lk-row' }, begin);
  const list = h('ul', { class: 'lk-saved' });
  const rest = h('div', {});
  body.replaceChildren(h('header', { class: 'lk-head' }, h('h1', {}, 'Censuses'), tools), note, list, rest);
  draw();

  function draw() {
    tools.hidden = !all.length;
    list.replaceChildren(...all.map((census) => (census.units ? row(census) : damaged(census))));
    rest.replaceChildren(...(all.length ? [] : [emptyList(() => go({ new: 1 }))]));
  }

  function row(census) {
    const { id, title, judged, units } = census;
    const bar = h('span', { class: 'lk-bar-done' });
    bar.style.width = `${(100 * judged) / units}%`;
    return h(
      'li',
      { class: 'lk-saved-row' },
      h(
        'button',
        { class: 'lk-open', type: 'button', onclick: () => go({ census: id }) },
        h('span', { class: 'lk-saved-words' }, h('strong', {}, title), h('span', { class: 'lk-muted' }, facts(census))),
        h(
          'span',
          { class: 'lk-progress' },
          h('span', { class: 'lk-bar-all', 'aria-hidden': true }, bar),
          h('span', { class: 'lk-muted' }, judged ? `${formatCount(judged)} judged` : 'not judged'),
        ),
      ),
      iconButton('trash', `Delete ${title}`, () => remove(census)),
    );
  }

  // Deleted at once: Undo brings it back from the trash.
  async function remove(census) {
    try {
      const { token } = await censuses.remove(census.id);
      all = all.filter((other) => other !== census);
      draw();
      const undo = h('button', { class: 'lk-link', type: 'button', onclick: () => restore(token) }, 'Undo');
      note.hidden = false;
      note.replaceChildren(`Deleted “${census.title ?? census.id}”. `, undo);
      undo.focus();
    } catch (refusal) {
      fail(refusal);
    }
  }

  async function restore(token) {
    try {
      await censuses.restore(token);
      all = await censuses.all();
      note.hidden = true;
      draw();
    } catch (refusal) {
      fail(refusal);
    }
  }

  function damaged(census) {
    const words = h('span', { class: 'lk-saved-words lk-ask' }, h('strong', {}, census.id), `${census.collection}: ${census.error}`);
    return h('li', { class: 'lk-saved-row' }, words, iconButton('trash', `Delete ${census.id}`, () => remove(census)));
  }
}

const facts = ({ collection_title: collection, units, date, created }) =>
  [collection, plural(units, 'unit'), imageryOf(date), `started ${formatDay(created)}`].join(' · ');

const emptyList = (begin) =>
  h(
    'section',
    { class: 'lk-blank' },
    h('h2', {}, 'No census yet'),
    h(
      'p',
      {},
      'A census tells how many there are in an area, with a 95% interval, such as 1\u202f240\u00a0±\u00a090, and ' +
        'what share of them your list holds. You judge some hundred small squares of imagery, drawn at ' +
        'random with the help of a detector’s scores: click each thing in a square, or type how many.',
    ),
    h('button', { class: 'lk-button lk-primary', type: 'button', onclick: begin }, 'Start a census'),
  );

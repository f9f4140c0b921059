// What is looked for: its picture, where it lies, the examples beside it, and the way to save it.
import { coordinates } from '../shared/coordinates.js';
import { h, icon, iconButton } from '../shared/dom.js';
import { formatDay, formatExtent } from '../shared/format.js';
import { stopAll } from '../shared/stops.js';
import { viewChoice } from '../shared/view_choice.js';
import { drawReopened } from './reopened.js';

const MANY = 12; // examples shown; of more only their number

const TITLES = {
  picture: 'Similar to your picture',
  box: 'Similar to this box',
  examples: 'Similar to these examples',
};

export function createQueryCard(head, invitation, context) {
  const { store } = context;
  const drawn = h('div', {});
  const form = h('div', { class: 'lk-saving' });
  const note = h('div', { class: 'lk-reopened' });
  const views = viewChoice(context);
  head.replaceChildren(drawn, views.element, form, note);
  const draw = (state) =>
    drawn.replaceChildren(...(state.query ? shown(state, context) : [invitation()]));
  const stops = [
    store.watch(['query', 'good', 'bad', 'examples', 'reopened'], draw),
    views.stop,
    store.watch(['saved', 'query'], (state) => drawSaving(form, state, context)),
    store.watch(['reopened', 'query', 'options'], (state) => drawReopened(note, state, context)),
  ];
  return () => stopAll(stops);
}

function shown(state, context) {
  // Those whose chips the server knows: of a link, some may be gone.
  const known = (ids) => ids.filter((id) => state.examples.has(id));
  const [good, bad] = [known(state.good), known(state.bad)];
  const card = queryCard({ ...state, good }, context);
  return good.length + bad.length ? [card, exampleRow({ good, bad }, context)] : [card];
}

function queryCard({ query, good, reopened }, { service, data, actions, store }) {
  const { version } = data.collection;
  const ask = () => store.set({ saved: { state: 'asking', name: '' } });
  const words = h('h2', {}, TITLES[query.kind] || 'Similar to this chip');
  const detail = query.lon === undefined ? boxSize(query) : coordinates(query);
  const dated = query.lon !== undefined && h('span', { class: 'lk-muted' }, formatDay(query.datetime));
  return h(
    'div',
    { class: 'lk-query-card' },
    picture(query, good, service, version),
    h('div', { class: 'lk-query-words' }, words, ...[detail, dated].filter(Boolean)),
    h(
      'div',
      { class: 'lk-query-tools' },
      // A reopened search is saved already.
      ...(reopened ? [] : [iconButton('save', 'Save search (S)', ask)]),
      iconButton('clear', 'Clear search', actions.clear, { title: 'Clear (Esc)' }),
    ),
  );
}

function picture(query, good, service, version) {
  const one = (src, alt) => h('img', { src, alt });
  if (query.kind === 'picture' && query.picture) {
    return one(service.picture(query.picture), 'Your picture');
  }
  if (query.kind === 'box' && query.corners) return one(service.box(query.box), 'Search box');
  if (query.kind === 'examples' && good.length) {
    return one(service.chip(good[0], 128, version), 'First example');
  }
  if (query.lon !== undefined) return one(service.chip(query.chip, 128, version), 'Query chip');
  return h('div', { class: 'lk-skeleton lk-query-blank' });
}

const boxSize = ({ box }) => (box ? h('span', { class: 'lk-muted' }, formatExtent(box)) : null);

function exampleRow({ good, bad }, { service, data, actions }) {
  const all = [...good.map((id) => [id, 'good']), ...bad.map((id) => [id, 'bad'])];
  const items = all.slice(0, MANY).map(([id, kind]) => {
    const title = `Remove this ${kind} example`;
    return h(
      'li',
      {},
      h(
        'button',
        {
          class: `lk-example lk-is-${kind}`,
          type: 'button',
          title,
          'aria-label': title,
          onclick: () => actions.removeExample(id),
        },
        h('img', { src: service.chip(id, 64, data.collection.version), alt: '' }),
        icon(kind),
      ),
    );
  });
  const more = all.length - MANY;
  if (more > 0) items.push(h('li', { class: 'lk-muted' }, `and ${more} more`));
  return h('ul', { class: 'lk-examples', 'aria-label': 'Examples' }, ...items);
}

function drawSaving(form, { saved, query }, { actions, store, service }) {
  form.hidden = !saved || !query;
  if (form.hidden) return form.replaceChildren();
  if (saved.state === 'done') {
    const link = h('a', { href: service.results(saved.id) }, 'Review and export in Results');
    const words = h('p', { role: 'status' }, `Saved as “${saved.name}”. `, link);
    return form.replaceChildren(words);
  }
  const busy = saved.state === 'saving';
  const name = h('input', {
    type: 'text',
    maxlength: 120,
    placeholder: 'Name, e.g. salt ponds',
    'aria-label': 'Search name',
    disabled: busy,
  });
  name.value = saved.name;
  const save = (event) => {
    event.preventDefault();
    actions.save(name.value.trim());
  };
  const cancel = () => store.set({ saved: null });
  form.replaceChildren(
    h(
      'form',
      { onsubmit: save },
      name,
      h('button', { class: 'lk-button lk-primary', disabled: busy }, busy ? 'Saving…' : 'Save'),
      h('button', { class: 'lk-button', type: 'button', onclick: cancel }, 'Cancel'),
    ),
  );
  return name.focus();
}

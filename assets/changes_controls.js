// The row above the map of changes: which dates, how many, from which score on.
import { h, icon, score } from './dom.js';

export function createChangesControls({ root, data, store, actions }) {
  const row = root.querySelector('.lk-controls');
  const busy = h('span', { class: 'lk-busy', role: 'status' });
  const note = h('div', { class: 'lk-trouble', role: 'alert' });
  const save = h(
    'button',
    { class: 'lk-button', type: 'button', onclick: actions.download, title: 'All three as GeoJSON' },
    icon('download'),
    'Export',
  );
  row.replaceChildren(
    collections(data, actions),
    days('Before', 'before', data, store, actions),
    days('After', 'after', data, store, actions),
    number(store, actions),
    threshold(store, actions),
    h('span', { class: 'lk-push' }),
    busy,
    save,
  );
  root.querySelector('.lk-map-pane').append(note);
  const stops = [
    store.watch(['busy'], (state) => {
      busy.replaceChildren(...(state.busy ? [h('span', { class: 'lk-dot' }), state.busy] : []));
    }),
    store.watch(['found'], ({ found }) => (save.disabled = !found)),
    store.watch(['trouble'], ({ trouble }) => drawTrouble(note, trouble, store)),
  ];
  return {
    stop() {
      for (const stop of stops) stop();
      note.remove();
    },
  };
}

function collections({ collection, collections: all }, { onCollection }) {
  const options = all.map(({ name, title }) =>
    h('option', { value: name, selected: name === collection.name }, title),
  );
  const onchange = (event) => onCollection(event.target.value);
  return h(
    'label',
    { class: 'lk-field lk-collection' },
    h('span', {}, 'Collection'),
    h('select', { onchange }, ...options),
  );
}

function days(title, name, data, store, actions) {
  const choice = h(
    'select',
    {
      onchange: () => {
        actions.setDays({ [name]: choice.value });
        choice.value = store.state[name]; // with two days there may be no other choice
      },
    },
    ...data.days.map((day) => h('option', { value: day }, day)),
  );
  store.watch([name], (state) => (choice.value = state[name]));
  return h('label', { class: 'lk-field' }, h('span', {}, title), choice);
}

function number(store, actions) {
  const field = h('input', { type: 'number', min: 1, max: 200, step: 1, inputmode: 'numeric' });
  field.addEventListener('change', () => {
    const k = Math.max(1, Math.min(200, Math.round(Number(field.value)) || 12));
    field.value = k;
    actions.set({ k });
  });
  store.watch(['k'], ({ k }) => (field.value = k));
  return h('label', { class: 'lk-field' }, h('span', {}, 'Of each at most'), field);
}

// From which score on a chip counts as showing the thing.
function threshold(store, actions) {
  const range = h('input', { type: 'range', min: -0.2, max: 1, step: 0.01 });
  const value = h('output', {});
  range.addEventListener('input', () => (value.textContent = score(Number(range.value))));
  range.addEventListener('change', () => actions.set({ threshold: Number(range.value) }));
  store.watch(['found', 'threshold'], ({ found, threshold: own }) => {
    const level = own ?? found?.threshold;
    range.disabled = level === undefined;
    if (level === undefined) return (value.textContent = '');
    range.value = level;
    return (value.textContent = score(level));
  });
  const title = 'A place shows the thing from this score on, relative to the mean of its date';
  return h('label', { class: 'lk-field', title }, h('span', {}, 'Shows it from'), range, value);
}

function drawTrouble(note, trouble, store) {
  note.hidden = !trouble;
  if (!trouble) return note.replaceChildren();
  const { message, detail, remedy } = trouble;
  const sentence = (text) => (/[.!?…]$/.test(text) ? text : `${text}.`);
  const close = { class: 'lk-ghost', type: 'button', 'aria-label': 'Dismiss' };
  return note.replaceChildren(
    h(
      'div',
      {},
      h('strong', {}, sentence(message)),
      detail ? h('code', {}, detail) : null,
      remedy ? h('p', {}, sentence(remedy)) : null,
    ),
    h('button', { ...close, onclick: () => store.set({ trouble: null }) }, icon('clear')),
  );
}

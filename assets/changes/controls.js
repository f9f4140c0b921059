// The row above the map of changes: which dates, how many, from which score on.
import { collectionChoice } from '../shared/collection_choice.js';
import { h, icon } from '../shared/dom.js';
import { formatScore } from '../shared/format.js';
import { createNotes } from '../shared/notes.js';
import { DEFAULT_PLACES, MAX_PLACES } from './kinds.js';

export function createChangesControls({ root, data, store, actions }) {
  const row = root.querySelector('.lk-controls');
  const notes = createNotes({ root, store });
  const save = h(
    'button',
    { class: 'lk-button', type: 'button', onclick: actions.download, title: 'Download all three layers as GeoJSON' },
    icon('download'),
    'Export',
  );
  row.replaceChildren(
    collectionChoice(data, actions.onCollection),
    dateChoice('Before', 'before', data, store, actions),
    dateChoice('After', 'after', data, store, actions),
    placeCount(store, actions),
    thresholdField(store, actions),
    h('span', { class: 'lk-push' }),
    notes.busy,
    save,
  );
  store.watch(['found'], ({ found }) => (save.disabled = !found));
  return notes;
}

function dateChoice(title, name, data, store, actions) {
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

function placeCount(store, actions) {
  const field = h('input', { type: 'number', min: 1, max: MAX_PLACES, step: 1, inputmode: 'numeric' });
  field.addEventListener('change', () => {
    const k = Math.max(1, Math.min(MAX_PLACES, Math.round(Number(field.value)) || DEFAULT_PLACES));
    field.value = k;
    actions.setOption({ k });
  });
  store.watch(['options'], ({ options }) => (field.value = options.k));
  return h('label', { class: 'lk-field' }, h('span', {}, 'Max. per category'), field);
}

// From which score on a chip counts as showing the thing.
function thresholdField(store, actions) {
  const range = h('input', { type: 'range', min: -0.2, max: 1, step: 0.01 });
  const value = h('output', {});
  range.addEventListener('input', () => (value.textContent = formatScore(Number(range.value))));
  range.addEventListener('change', () => actions.set({ threshold: Number(range.value) }));
  store.watch(['found', 'threshold'], ({ found, threshold: own }) => {
    const level = own ?? found?.threshold;
    range.disabled = level === undefined;
    if (level === undefined) return (value.textContent = '');
    range.value = level;
    return (value.textContent = formatScore(level));
  });
  const title = 'A place is a match at or above this score, relative to the mean of its date';
  return h('label', { class: 'lk-field', title }, h('span', {}, 'Similarity threshold'), range, value);
}

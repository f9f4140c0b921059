// The slim row above the map.
import { collectionChoice } from '../shared/collection_choice.js';
import { h, icon } from '../shared/dom.js';
import { formatScore } from '../shared/format.js';
import { createNotes } from '../shared/notes.js';
import { DEFAULT_K } from '../shared/recipe.js';
import { helpButton } from './help.js';
import { drawHistogram } from './histogram.js';
import { modeChoice } from './mode_choice.js';

export function createControls({ store, root, actions, data, onCollection, onMode }) {
  const row = root.querySelector('.lk-controls');
  const notes = createNotes({ root, store });
  row.replaceChildren(
    collectionChoice(data, onCollection),
    modeChoice('places', onMode),
    resultCount(store, actions, data.max_k),
    minScoreField(store, actions),
    overlaps(store, actions),
    h('span', { class: 'lk-push' }),
    notes.busy,
    filterButton(store, actions),
    pictureButton(actions),
    clearButton(store, actions),
    helpButton(store),
  );
  return notes;
}

function resultCount(store, actions, most) {
  const field = h('input', { type: 'number', min: 1, max: most, step: 1, inputmode: 'numeric' });
  field.addEventListener('change', () => {
    const k = Math.max(1, Math.min(most, Math.round(Number(field.value)) || DEFAULT_K));
    field.value = k;
    if (k !== store.state.options.k) actions.setOption({ k });
  });
  store.watch(['options'], ({ options }) => (field.value = options.k));
  return h('label', { class: 'lk-field' }, h('span', {}, 'Results'), field);
}

// The cut, and behind it how the scores are spread.
function minScoreField(store, actions) {
  const range = h('input', { type: 'range', min: 0, max: 1, step: 0.01 });
  const value = h('output', {});
  const chart = h('canvas', { class: 'lk-spread', 'aria-hidden': true });
  range.addEventListener('input', () => actions.setMinScore(Number(range.value)));
  range.addEventListener('change', () => actions.setMinScore(Number(range.value), true));
  store.watch(['minScore'], ({ minScore }) => {
    range.value = minScore;
    value.textContent = formatScore(minScore);
  });
  const element = h(
    'label',
    { class: 'lk-field lk-cut' },
    h('span', {}, 'Minimum score'),
    h('span', { class: 'lk-cut-box' }, chart, range),
    value,
  );
  store.watch(['minScore', 'scores', 'hits', 'summary'], (state) => {
    drawHistogram(chart, state);
    const one = state.summary?.byChance?.[1];
    element.title =
      'Distribution of similarity scores; results below the minimum are hidden.' +
      (one === undefined ? '' : ` The line at ${formatScore(one)}: by chance, one chip would score this high.`);
  });
  return element;
}

function overlaps(store, actions) {
  const box = h('input', { type: 'checkbox' });
  box.addEventListener('change', () => actions.setOption({ suppress: box.checked }));
  store.watch(['options', 'merged'], ({ options, merged }) => {
    box.checked = options.suppress && !merged;
    box.disabled = merged; // sites are made of them
  });
  const title = 'Hide a result if a better one covers more than a quarter of it';
  return h('label', { class: 'lk-field', title }, box, h('span', {}, 'Hide overlaps'));
}

export function filterButton(store, actions) {
  const number = h('span', { class: 'lk-active' });
  const button = h(
    'button',
    {
      class: 'lk-button lk-toggle',
      type: 'button',
      title: 'Limit the search to a location, scenes, dates or quality (F)',
      onclick: () => actions.toggle('panel'),
    },
    icon('filter'),
    'Filters',
    number,
  );
  store.watch(['panel', 'filters'], ({ panel, filters }) => {
    const active = Object.keys(filters).length;
    button.setAttribute('aria-expanded', panel);
    number.hidden = !active;
    number.textContent = String(active);
  });
  return button;
}

function pictureButton(actions) {
  const file = h('input', {
    type: 'file',
    accept: 'image/*,.tif,.tiff',
    class: 'lk-offscreen',
    tabindex: -1,
    'aria-label': 'Picture to search by',
  });
  file.addEventListener('change', () => {
    if (file.files[0]) actions.searchPicture(file.files[0]);
    file.value = '';
  });
  const button = { class: 'lk-button', type: 'button', onclick: () => file.click() };
  const words = h('span', {}, h('span', { class: 'lk-wide' }, 'Search by '), 'picture');
  words.className = 'lk-capital';
  return h('span', { class: 'lk-picture' }, h('button', button, icon('picture'), words), file);
}

function clearButton(store, actions) {
  const button = h(
    'button',
    { class: 'lk-button', type: 'button', title: 'Esc', onclick: actions.clear },
    icon('clear'),
    'Clear',
  );
  store.watch(['query'], ({ query }) => (button.disabled = !query));
  return button;
}

// The filters: where and among which chips to search.  They come before the search, never after:
// whoever asks for fifty results inside a polygon gets fifty.
import { h, icon, iconButton } from '../shared/dom.js';
import { formatCount, formatScene } from '../shared/format.js';
import { stopAll } from '../shared/stops.js';

// With `counts`, the panel says how many chips are left.
export function createFilters({ root, store, actions, data, map, counts = true }) {
  const panel = root.querySelector('.lk-filters');
  const { collection } = data;
  const eligible = h('span', { class: 'lk-eligible', role: 'status' });
  const fields = [
    placeField(store, actions, collection, map),
    sceneField(store, actions, collection),
    ...dayFields(store, actions, collection),
    numberField('Max. no-data', '%', 'max_nodata', { max: 100 }, store, actions),
    sharpnessField(store, actions, collection),
    numberField('At least', 'm from the query', 'away', {}, store, actions),
  ];
  const none = () =>
    actions.setFilters(Object.fromEntries(Object.keys(store.state.filters).map((key) => [key, null])));
  const reset = h('button', { class: 'lk-button', type: 'button', onclick: none }, 'Clear filters');
  panel.replaceChildren(
    ...fields.filter(Boolean),
    h('span', { class: 'lk-push' }),
    counts ? eligible : '',
    reset,
  );
  const stops = [
    store.watch(['panel'], (state) => (panel.hidden = !state.panel)),
    store.watch(['filters'], ({ filters }) => (reset.disabled = !Object.keys(filters).length)),
    store.watch(['summary', 'eligible'], (state) => {
      const left = state.summary?.eligible ?? state.eligible ?? collection.chips;
      eligible.textContent = `${formatCount(left)} of ${formatCount(collection.chips)} chips eligible`;
    }),
  ];
  return { stop: () => stopAll(stops) };
}

function placeField(store, actions, { area }, map) {
  const button = (name, words, title, onclick) =>
    h('button', { class: 'lk-button', type: 'button', title, onclick }, icon(name), words);
  const draw = button('polygon', 'Draw', 'Draw a polygon on the map', () => map.draw('polygon'));
  const view = button('view', 'View', 'Search only within the map view', () =>
    actions.setFilters({ within: map.outline() }),
  );
  const whole = area && button('fit', 'Area', 'Search only within the area of the collection', () =>
    actions.setFilters({ within: area }),
  );
  const everywhere = () => actions.setFilters({ within: null });
  const remove = iconButton('clear', 'Remove location filter', everywhere, {
    title: 'Search everywhere',
  });
  store.watch(['filters', 'drawing'], ({ filters, drawing }) => {
    remove.hidden = !filters.within;
    draw.setAttribute('aria-pressed', drawing === 'polygon' || Boolean(filters.within));
  });
  const all = [h('span', { class: 'lk-muted' }, 'Within'), draw, view, whole, remove];
  return h('div', { class: 'lk-field', role: 'group', 'aria-label': 'Within' }, ...all.filter(Boolean));
}

function sceneField(store, actions, { scenes }) {
  if (scenes.length < 2) return null;
  const words = h('span', {});
  const boxes = scenes.map((scene) => {
    const box = h('input', { type: 'checkbox', value: scene.id });
    return h('label', { class: 'lk-field' }, box, h('span', {}, formatScene(scene)));
  });
  const inputs = boxes.map((label) => label.querySelector('input'));
  const choose = () => {
    const chosen = inputs.filter((box) => box.checked).map((box) => box.value);
    actions.setFilters({ scenes: chosen.length === scenes.length ? [] : chosen });
  };
  inputs.forEach((box) => box.addEventListener('change', choose));
  store.watch(['filters'], ({ filters }) => {
    for (const box of inputs) box.checked = !filters.scenes || filters.scenes.includes(box.value);
    words.textContent = filters.scenes
      ? `${filters.scenes.length} of ${scenes.length} scenes`
      : 'All scenes';
  });
  return h(
    'details',
    { class: 'lk-choice' },
    h('summary', { class: 'lk-button' }, words),
    h('div', { class: 'lk-choices' }, ...boxes),
  );
}

function dayFields(store, actions, { scenes }) {
  const days = scenes.map(({ datetime }) => datetime?.slice(0, 10)).filter(Boolean).sort();
  if (!days.length) return [];
  return [
    ['From', 'since'],
    ['To', 'until'],
  ].map(([words, name]) => {
    const field = h('input', { type: 'date' });
    field.addEventListener('change', () => actions.setFilters({ [name]: field.value }));
    store.watch(['filters'], ({ filters }) => (field.value = filters[name] ?? ''));
    return h('label', { class: 'lk-field' }, h('span', {}, words), field);
  });
}

function numberField(words, unit, name, limits, store, actions) {
  const look = { type: 'number', min: 0, step: 'any', inputmode: 'decimal', placeholder: 'any' };
  const field = h('input', { ...look, ...limits });
  field.addEventListener('change', () => {
    const value = Number.parseFloat(field.value);
    const kept = value >= 0 ? Math.min(value, limits.max ?? 40_000_000) : null;
    // A distance of 0 excludes nothing, so it is no filter.
    actions.setFilters({ [name]: name === 'away' && kept === 0 ? null : kept });
  });
  store.watch(['filters'], ({ filters }) => (field.value = filters[name] ?? ''));
  return h('label', { class: 'lk-field' }, h('span', {}, words), field, h('span', {}, unit));
}

// Sharpness has no scale a person knows: the choice is by share of this collection's chips.
function sharpnessField(store, actions, { sharpness }) {
  const shares = Object.entries(sharpness ?? {});
  if (!shares.length) return null;
  const select = h(
    'select',
    {},
    h('option', { value: '' }, 'any'),
    ...shares.map(([share, value]) => h('option', { value }, `exclude blurriest ${share}%`)),
  );
  const other = h('option', {}, '');
  select.addEventListener('change', () => {
    actions.setFilters({ min_sharpness: select.value === '' ? null : Number(select.value) });
  });
  store.watch(['filters'], ({ filters: { min_sharpness: least } }) => {
    other.remove();
    const known = least === undefined || shares.some(([, value]) => value === least);
    if (!known) {
      [other.value, other.textContent] = [least, `at least ${least}`];
      select.append(other);
    }
    select.value = least === undefined ? '' : String(least);
  });
  return h('label', { class: 'lk-field' }, h('span', {}, 'Sharpness'), select);
}

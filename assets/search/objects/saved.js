// Saved object searches: kept with their objects and marks, and reopened as they were.
import { h, icon, iconButton } from '../../shared/dom.js';
import { formatDay, plural } from '../../shared/format.js';
import { placeKey } from './place_marks.js';

// The menu of the saved searches, in the row above the map.
export function savedMenu({ store, actions }) {
  const name = h('input', { type: 'text', maxlength: 80, placeholder: 'Name', 'aria-label': 'Name of the search' });
  const save = h('button', { class: 'lk-button lk-primary', type: 'submit' }, 'Save');
  const form = h('form', { class: 'lk-row' }, name, save);
  const list = h('div', { class: 'lk-kept' });
  const title = 'Saved searches';
  const summary = h('summary', { class: 'lk-button', title, 'aria-label': title }, icon('save'));
  const menu = h('details', { class: 'lk-choice' }, summary, h('div', { class: 'lk-choices lk-detectors' }, form, list));
  form.addEventListener('submit', async (event) => {
    event.preventDefault();
    save.disabled = true;
    if (await actions.saveSearch(name.value.trim())) {
      name.value = '';
      menu.open = false;
    }
    save.disabled = false;
  });
  const open = (each) => {
    menu.open = false;
    return actions.openSaved(each.id);
  };
  store.watch(['kept', 'saved', 'objects'], ({ kept, saved, objects }) => {
    form.hidden = !objects.length || Boolean(saved);
    const rows = kept.map((each) => row(each, each.id === saved?.id, open, actions));
    list.replaceChildren(...(rows.length ? rows : [h('p', { class: 'lk-muted' }, 'None yet.')]));
  });
  return menu;
}

function row(each, on, open, actions) {
  const facts = `${plural(each.objects, 'object')} · ${formatDay(each.created)}`;
  const pressed = { class: 'lk-button', type: 'button', 'aria-pressed': String(on), title: `${facts} · ${each.query}` };
  return h(
    'div',
    { class: 'lk-detector' },
    h('button', { ...pressed, onclick: () => open(each) }, each.name),
    iconButton('trash', `Delete ${each.name}`, () => actions.removeSaved(each)),
  );
}

// What the search page shows of a saved search, of the answer of the server.
export function stateOf({ search, objects, check, judgements = [] }) {
  const given = new Map(judgements.map(({ id, author }) => [id, author]));
  const authors = new Map(objects.filter(({ id }) => given.has(id)).map((found) => [placeKey(found), given.get(found.id)]));
  const { recipe } = search;
  const size = { object_size: recipe.object_size ?? search.object_size, label: 'good' };
  const examples = [
    ...(recipe.at ? [{ at: recipe.at, ...size }] : []),
    ...(recipe.box ? [{ box: recipe.box, label: 'good' }] : []),
    ...(recipe.examples ?? []),
  ];
  const answer = {
    query: { label: search.query, windows: [], object_size: search.object_size },
    notes: [`Saved on ${formatDay(search.created)} as ${search.name}; its objects are as they were`],
    missing: [],
    score_map: '', // of a search that is run
    score_range: [0, 1],
  };
  const detector = recipe.detector ? { name: recipe.detector, title: recipe.detector } : null;
  return { examples, detector, objects, answer, authors, saved: { ...search, check } };
}

// How many of the objects at or above a minimum score are right, by the check of the saved search:
// marks estimate nothing.
export function checkWords({ estimates, size }, minScore) {
  const cut = estimates.filter(({ threshold }) => threshold >= minScore).at(-1);
  if (!size) return 'Check how many are right';
  if (!cut || cut.precision === null) return 'Continue the check';
  const percent = (share) => `${Math.round(100 * share)}%`;
  return `About ${percent(cut.precision)} right (${percent(cut.low)} to ${percent(cut.high)}), based on ${cut.judged} drawn at random`;
}

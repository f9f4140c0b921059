// Detectors: kept from marks, applied here, handed on as a file.
import { h, icon, iconButton } from '../../shared/dom.js';
import { drawCard, removeQuestion, renameForm } from './detector_card.js';

// The menu of all detectors, in the row above the map.
export function detectorMenu({ store, actions, service }) {
  const list = h('div', { class: 'lk-choices lk-detectors' });
  const menu = h('details', { class: 'lk-choice' }, h('summary', { class: 'lk-button' }, icon('search'), 'Detectors'), list);
  const file = h('input', { type: 'file', accept: '.json,application/json', class: 'lk-offscreen', tabindex: -1, 'aria-label': 'Detector file' });
  file.addEventListener('change', () => {
    if (file.files[0]) actions.uploadDetector(file.files[0]);
    file.value = '';
  });
  let asking = null; // { name, what: rename | remove }
  const ask = (name, what) => {
    asking = name && { name, what };
    draw(store.state);
  };
  const draw = ({ detectors, detector, card, removed }) => {
    const rows = detectors.map((each) => {
      const done = () => ask(null);
      if (asking?.name === each.name) {
        // What is being typed stays, whatever is answered meanwhile.
        asking.form ??= asking.what === 'rename' ? renameForm(each, actions, done) : removeQuestion(each, actions, done);
        return asking.form;
      }
      if (each.error) return damaged(each, () => ask(each.name, 'remove'));
      const opened = card?.name === each.name;
      const confirm = (what) => ask(each.name, what);
      return h('div', {},
        row(each, each.name === detector?.name, opened, menu, actions),
        opened ? drawCard(card, { actions, service, confirm }) : null);
    });
    const none = h('p', { class: 'lk-muted' }, 'None yet. Judge some objects, then save a detector.');
    const undo = () =>
      h('p', { class: 'lk-detector', role: 'status' },
        h('span', { class: 'lk-muted' }, `Removed ${removed.title}.`),
        h('button', { class: 'lk-button', type: 'button', onclick: actions.restoreDetector }, 'Undo'));
    const focused = list.contains(document.activeElement) ? document.activeElement : null;
    list.replaceChildren(
      ...(rows.length ? rows : [none]),
      ...(removed ? [undo()] : []),
      h('button', { class: 'lk-button', type: 'button', onclick: () => file.click() }, 'Add a detector file'),
      file,
    );
    if (focused?.isConnected) focused.focus();
  };
  menu.addEventListener('toggle', () => !menu.open && asking && ask(null));
  store.watch(['detectors', 'detector', 'card', 'removed'], draw);
  return menu;
}

function row(each, on, opened, menu, actions) {
  const [picture] = each.pictures;
  const apply = () => {
    menu.open = false;
    actions.apply(each);
  };
  const more = { class: 'lk-ghost', 'aria-expanded': String(opened) };
  return h('div', { class: 'lk-detector' },
    h('button', { class: 'lk-button', type: 'button', 'aria-pressed': String(on), title: `Apply ${each.title}`, onclick: apply },
      picture ? h('img', { src: `data:image/png;base64,${picture}`, alt: '', width: 24, height: 24 }) : null,
      each.title),
    iconButton('more', `About ${each.title}`, () => actions.openCard(each.name), more),
  );
}

// One whose file cannot be read: why, and a way to be rid of it.
function damaged(each, remove) {
  return h('div', { class: 'lk-detector' },
    h('span', { class: 'lk-muted', title: each.error }, `${each.name}: ${each.error}`),
    iconButton('trash', `Remove ${each.name}`, remove),
  );
}

// In the gallery: keep what the marks taught under a name.
export function savePanel(saving, counts, actions) {
  if (saving?.state === 'done') return h('span', { class: 'lk-marked', role: 'status' }, `Saved as ${saving.title}`);
  if (saving?.state === 'saving') return h('span', { class: 'lk-marked', role: 'status' }, 'Saving');
  if (saving?.state === 'asking') {
    const title = h('input', { type: 'text', maxlength: 80, required: true, placeholder: 'What it finds', 'aria-label': 'Name of the detector' });
    const submit = (event) => {
      event.preventDefault();
      if (title.value.trim()) actions.train(title.value.trim());
    };
    title.addEventListener('keydown', ({ key }) => key === 'Escape' && actions.cancelSaving());
    setTimeout(() => title.focus());
    return h('span', { class: 'lk-saving' }, h('form', { onsubmit: submit }, title, h('button', { class: 'lk-button lk-primary', type: 'submit' }, 'Save')));
  }
  const ready = counts.includes('good') && counts.includes('bad');
  const why = ready ? 'Keep what the marks taught' : 'Mark at least one good and one bad object first';
  return h('button', { class: 'lk-button', type: 'button', disabled: !ready, title: why, onclick: actions.saveDetector }, icon('save'), 'Save detector');
}

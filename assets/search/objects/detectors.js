// Detectors: kept from marks, applied here, handed on as a file.
import { h, icon, iconButton } from '../../shared/dom.js';

// The menu of all detectors, in the row above the map.
export function detectorMenu({ store, actions, service }) {
  const list = h('div', { class: 'lk-choices lk-detectors' });
  const menu = h('details', { class: 'lk-choice' }, h('summary', { class: 'lk-button' }, icon('search'), 'Detectors'), list);
  const file = h('input', { type: 'file', accept: '.json,application/json', class: 'lk-offscreen', tabindex: -1, 'aria-label': 'Detector file' });
  file.addEventListener('change', () => {
    if (file.files[0]) actions.uploadDetector(file.files[0]);
    file.value = '';
  });
  const draw = ({ detectors, detector }) => {
    const rows = detectors.map((each) =>
      each.error ? damaged(each, actions) : row(each, each.name === detector?.name, menu, actions, service),
    );
    const none = h('p', { class: 'lk-muted' }, 'None yet. Judge some objects, then save a detector.');
    list.replaceChildren(
      ...(rows.length ? rows : [none]),
      h('button', { class: 'lk-button', type: 'button', onclick: () => file.click() }, 'Add a detector file'),
      file,
    );
  };
  store.watch(['detectors', 'detector'], draw);
  return menu;
}

function row(each, on, menu, actions, service) {
  const [picture] = each.pictures;
  const facts = `${each.good} good, ${each.bad} bad · ${each.origin.collection}`;
  const apply = () => {
    menu.open = false;
    actions.apply(each);
  };
  return h('div', { class: 'lk-detector' },
    h('button', { class: 'lk-button', type: 'button', 'aria-pressed': String(on), title: facts, onclick: apply },
      picture ? h('img', { src: `data:image/png;base64,${picture}`, alt: '', width: 24, height: 24 }) : null,
      each.title),
    h('a', { class: 'lk-ghost', href: service.detectorFile(each.name), download: `${each.name}.json`, title: 'Download', 'aria-label': `Download ${each.title}` }, icon('download')),
    iconButton('trash', `Remove ${each.title}`, () => actions.removeDetector(each)),
  );
}

// One whose file cannot be read: why, and a way to be rid of it.
function damaged(each, actions) {
  return h('div', { class: 'lk-detector' },
    h('span', { class: 'lk-muted', title: each.error }, `${each.name}: ${each.error}`),
    iconButton('trash', `Remove ${each.name}`, () => actions.removeDetector(each)),
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

// What a detector says of itself: examples, marks, origin, its own figures, and its warnings.
import { h } from '../../shared/dom.js';
import { formatDay, plural } from '../../shared/format.js';

const percent = (share) => `${Math.round(100 * share)}%`;

export const metres = (value) =>
  value >= 1000 ? `${+(value / 1000).toPrecision(3)} km` : `${+value.toPrecision(3)} m`;

// The facts of a card: what, and in words.
export function factsOf({ object_size: size, good, bad, origin, calibration, created }) {
  const days = [...origin.dates].map((day) => day.slice(0, 10)).sort();
  const taken = days.length > 1 ? `${formatDay(days[0])} to ${formatDay(days.at(-1))}` : days.length ? formatDay(days[0]) : 'unknown';
  return [
    ['Marks', `${good} good, ${bad} bad`],
    ['Object size', metres(size)],
    ['Trained on', origin.collection],
    ['Resolution', `${metres(origin.gsd)} per pixel`],
    ['Image dates', taken],
    ['Created', created ? formatDay(created) : 'unknown'],
    [
      'Cross-validation',
      calibration
        ? `${percent(calibration.accuracy)} of ${plural(calibration.marks, 'mark')} correct`
        : 'too few marks',
    ],
  ];
}

// What to know before it is applied; without a calibration it gives no probabilities.
export const warningsOf = ({ calibration, warnings = [] }) => [
  ...(calibration ? [] : ['No probabilities: 10 good and 10 bad marks are needed']),
  ...warnings,
];

export function drawCard(card, { actions, service, confirm }) {
  if (!card.origin) return h('div', { class: 'lk-skeleton lk-detector-card', 'aria-hidden': 'true' });
  const pictures = card.pictures.map((png) => h('img', { src: `data:image/png;base64,${png}`, alt: '', width: 40, height: 40 }));
  const facts = factsOf(card).map(([name, words]) => h('div', {}, h('dt', {}, name), h('dd', {}, words)));
  const warnings = warningsOf(card).map((words) => h('p', { class: 'lk-warning' }, `${words}.`));
  return h('section', { class: 'lk-detector-card', 'aria-label': card.title },
    h('div', { class: 'lk-examples-row' }, ...pictures),
    h('dl', {}, ...facts),
    ...warnings,
    h('div', { class: 'lk-row' },
      h('button', { class: 'lk-button', type: 'button', onclick: () => confirm('rename') }, 'Rename'),
      h('a', { class: 'lk-button', href: service.detectorFile(card.name), download: `${card.name}.json` }, 'Download'),
      h('a', { class: 'lk-button', href: service.censusPage({ detector: card.name }), target: '_self' }, 'Start a census'),
      h('button', { class: 'lk-button', type: 'button', onclick: () => confirm('remove') }, 'Remove')),
  );
}

// In place of a row: the new title of a detector.
export function renameForm(each, actions, done) {
  const title = h('input', { type: 'text', maxlength: 200, required: true, value: each.title, 'aria-label': 'New name of the detector' });
  const submit = async (event) => {
    event.preventDefault();
    const text = title.value.trim();
    if (!text) return;
    if (text === each.title || (await actions.renameDetector(each, text))) done();
  };
  setTimeout(() => title.select?.());
  return h('form', { class: 'lk-detector-ask', onsubmit: submit }, title,
    h('div', { class: 'lk-row' },
      h('button', { class: 'lk-button', type: 'button', onclick: done }, 'Cancel'),
      h('button', { class: 'lk-button lk-primary', type: 'submit' }, 'Rename')));
}

// In place of a row: whether to remove it.
export function removeQuestion(each, actions, done) {
  const remove = h('button', { class: 'lk-button lk-danger', type: 'button' }, 'Remove');
  remove.addEventListener('click', () => {
    remove.disabled = true;
    actions.removeDetector(each).then(done);
  });
  const cancel = h('button', { class: 'lk-button', type: 'button', onclick: done }, 'Cancel');
  setTimeout(() => cancel.focus?.());
  return h('div', { class: 'lk-detector-ask' },
    h('span', {}, `Remove “${each.title ?? each.name}”?`),
    h('div', { class: 'lk-row' }, cancel, remove));
}

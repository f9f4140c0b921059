// What a census says now: the total with its interval, the list, what is left to judge.
import { h } from '../shared/dom.js';
import { formatCount, plural } from '../shared/format.js';
import { agreementWords, barOf, intervalWords, leftWords, shareWords, stopWords } from './words.js';

const sentence = (text) => (/[.!?]$/.test(text) ? text : `${text}.`);

// `onError(share)` changes the wanted error; null where it cannot be changed.
export function createLive({ onError = null } = {}) {
  const element = h('section', { class: 'lk-panel lk-live', 'aria-label': 'Result so far' });
  let opened = new Set(); // disclosures that are open, across redraws

  function show(report) {
    opened = new Set([...element.querySelectorAll('details[open]')].map(({ dataset }) => dataset.name));
    element.replaceChildren(...(report.estimate === null ? nothing(report) : some(report)));
  }

  function nothing(report) {
    return [
      h('h2', {}, 'Nothing is judged yet'),
      h(
        'p',
        {},
        'With the first judged units, the total and its 95% interval appear here, what share of it the ' +
          'list holds, and how many units are left to judge.',
      ),
      h('p', { class: 'lk-muted' }, `${plural(report.units, 'unit')}; the list has ${plural(report.listed, 'object')}.`),
      ...wanted(report),
      ...warnings(report),
    ];
  }

  function some(report) {
    return [
      h('p', { class: 'lk-total', role: 'status' }, report.text),
      bar(report),
      h('p', { class: 'lk-muted' }, intervalWords(report)),
      h('p', {}, leftWords(report)),
      ...wanted(report),
      ...list(report),
      h('p', { class: 'lk-rule' }, h('strong', {}, 'Stop rule. '), stopWords(report.stop)),
      ...(report.agreement ? [h('p', {}, agreementWords(report.agreement))] : []),
      ...(report.cannot_tell ? [h('p', {}, `Nobody could tell in ${plural(report.cannot_tell, 'unit')}, which widens the interval.`)] : []),
      ...warnings(report),
      ...districts(report, opened),
      ...rounds(report, opened),
    ];
  }

  function wanted({ error }) {
    if (!onError) return [];
    const field = h('input', { type: 'number', min: 1, max: 100, step: 1, inputmode: 'numeric', value: Math.round(100 * error) });
    field.addEventListener('change', () => field.checkValidity() && onError(field.value / 100));
    return [h('label', { class: 'lk-field' }, h('span', {}, 'Wanted error'), field, h('span', {}, '%'))];
  }

  return { element, show };
}

function bar(report) {
  const { left, width, middle } = barOf(report);
  const range = h('span', { class: 'lk-interval' });
  const spot = h('span', { class: 'lk-middle' });
  range.style.left = `${left}%`;
  range.style.width = `${width}%`;
  spot.style.left = `${middle}%`;
  return h('span', { class: 'lk-interval-bar', 'aria-hidden': true }, range, spot);
}

function list({ listed, threshold, recall, recall_low, recall_high, precision, precision_low, precision_high }) {
  if (!listed) return [h('p', {}, 'The list is empty: it holds none of them.')];
  const named = threshold === null ? `The list of ${formatCount(listed)}` : `The list of ${formatCount(listed)} with a score of ${threshold} or more`;
  return [
    h('dl', { class: 'lk-shares', title: named },
      h('div', {}, h('dt', {}, 'Recall of the list'), h('dd', {}, shareWords(recall, recall_low, recall_high))),
      h('div', {}, h('dt', {}, 'Precision of the list'), h('dd', {}, shareWords(precision, precision_low, precision_high)))),
  ];
}

const warnings = ({ changed, notes }) => [
  ...(changed ? [h('p', { class: 'lk-aside' }, sentence(changed))] : []),
  ...notes.map((note) => h('p', { class: 'lk-muted' }, sentence(note))),
];

function disclosure(name, words, opened, ...content) {
  const made = h('details', { 'data-name': name, open: opened.has(name) }, h('summary', {}, words), ...content);
  return made;
}

const range = ({ estimate, low, high }) =>
  estimate === null ? 'not known yet' : `${formatCount(Math.round(estimate))} (${formatCount(low)} to ${formatCount(high)})`;

function table(heads, rows) {
  const cells = (kind, words) => words.map((word) => h(kind, {}, word));
  return h('div', { class: 'lk-scroll' },
    h('table', {}, h('thead', {}, h('tr', {}, ...cells('th', heads))), h('tbody', {}, ...rows.map((row) => h('tr', {}, ...cells('td', row))))));
}

function districts({ districts: all }, opened) {
  if (!all.length) return [];
  const rows = all.map((each) => [
    each.name,
    range(each),
    `${formatCount(each.judged)} of ${formatCount(each.units)}`,
    each.wide ? 'wide' : '',
  ]);
  return [
    disclosure('districts', plural(all.length, 'district'), opened,
      table(['District', 'Total (95% interval)', 'Units judged', ''], rows),
      h('p', { class: 'lk-muted' }, 'Wide: the interval is more than half the total either way. Judge more units there.')),
  ];
}

function rounds({ rounds: all }, opened) {
  if (all.length < 2) return [];
  const rows = all.map((each) => [String(each.number), each.query, range(each), formatCount(each.judged), `${Math.round(100 * each.share)}%`]);
  return [disclosure('rounds', plural(all.length, 'round'), opened, table(['', 'Looked for', 'Total (95% interval)', 'Judged', 'Weight'], rows))];
}

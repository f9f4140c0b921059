// The panel that tells how many hits are right: the check's estimate at the minimum score, its
// curve, and what it rests on.
import { h } from '../shared/dom.js';
import { formatCount, formatScore, plural } from '../shared/format.js';
import { cutAt, describePrecision, describeRecall, precisionChart } from './precision.js';

// `marks` is the number of marks from searching and reviewing, which estimate nothing; `cut` is
// called with the minimum score that was chosen, `begin` to check, `remove` to delete the check;
// `about` tells what else the minimum score does.
export function createTrust({ check, marks, noun = 'hit', about = '', cut, begin, remove }) {
  const element = h('section', { class: 'lk-panel lk-trust' });
  const { estimates, population } = check;
  let minScore = estimates.at(-1)?.threshold ?? 0;
  draw();
  return { element, minScore: () => minScore };

  function choose(threshold) {
    minScore = threshold;
    draw();
    cut(threshold);
  }

  function draw() {
    const at = cutAt(estimates, minScore);
    const judged = estimates.at(-1)?.precision !== null && check.judged > 0;
    element.replaceChildren(
      h('h2', {}, 'How many are right?'),
      h('p', { class: 'lk-words', role: 'status' }, ...(judged || !at ? sentence(at) : [nothingYet(at)])),
      ...(estimates.length > 1 ? [judged ? precisionChart(estimates, minScore, choose) : '', slider()] : []),
      estimates.length > 1 && about ? h('p', { class: 'lk-muted' }, about) : '',
      ...progress(),
      ...(marks ? [h('p', { class: 'lk-muted' }, marksNote(marks))] : []),
    );
  }

  function sentence(at) {
    return [describePrecision(at, noun), ' ', describeRecall(at, population, noun)];
  }

  function nothingYet(at) {
    const above = `${plural(at.hits, `${noun} scores`, `${noun}s score`)} ${formatScore(at.threshold)} or higher`;
    return `Nobody knows yet: ${above}. A check draws some at random for you to judge without seeing their scores.`;
  }

  function progress() {
    if (!population) return [];
    const { size, left } = check;
    const button = (words, primary) =>
      h('button', { class: `lk-button ${primary ? 'lk-primary' : ''}`, type: 'button', onclick: begin }, words);
    if (!size) return [h('div', { class: 'lk-row' }, button('Check', true))];
    const bar = h('span', { class: 'lk-bar-done' });
    bar.style.width = `${(100 * (size - left)) / size}%`;
    const words = left
      ? `${formatCount(size - left)} of ${formatCount(size)} judged. The order is random, so it may stop here.`
      : `${formatCount(size)} of ${plural(population, noun)} judged, drawn at random within ${plural(check.strata.length, 'group', 'groups')} of similar score.`;
    return [
      h('span', { class: 'lk-bar-all', 'aria-hidden': true }, bar),
      h('p', { class: 'lk-muted' }, words),
      h(
        'div',
        { class: 'lk-row' },
        left ? button('Continue check', true) : size < population ? button('Judge more', false) : null,
        h('button', { class: 'lk-link', type: 'button', onclick: confirmRemoval }, 'Delete check'),
      ),
    ];
  }

  // Asks in place; nothing is deleted before the answer.
  function confirmRemoval({ currentTarget }) {
    const row = currentTarget.parentElement;
    const keep = h('button', { class: 'lk-button', type: 'button', onclick: draw }, 'Cancel');
    row.replaceChildren(
      h('span', {}, `Delete the check and its ${plural(Object.keys(check.marks).length, 'judgement')} permanently?`),
      keep,
      h('button', { class: 'lk-button lk-danger', type: 'button', onclick: remove }, 'Delete'),
    );
    keep.focus();
  }

  // By position among the thresholds, so that each step changes the number of hits.
  function slider() {
    const range = h('input', {
      type: 'range',
      min: 0,
      max: estimates.length - 1,
      step: 1,
      'aria-label': 'Minimum score',
    });
    range.value = estimates.indexOf(cutAt(estimates, minScore));
    range.addEventListener('input', () => {
      choose(estimates[Number(range.value)].threshold);
      element.querySelector('input[type=range]')?.focus();
    });
    return range;
  }
}

export const marksNote = (marks) =>
  `${plural(marks, 'mark')} from searching and reviewing ${marks === 1 ? 'is' : 'are'} no random sample: ` +
  'they sort and train, and do not count here.';

// Judging: unit after unit, large; each thing clicked, or how many typed; what that says beside it.
import { backLink } from '../shared/back_link.js';
import { h, TOUCH } from '../shared/dom.js';
import { formatCount, plural } from '../shared/format.js';
import { later } from '../shared/idle.js';
import { keyButton, listenToKeys } from '../shared/keys.js';
import { lonLatOf, pixelOf } from './geometry.js';
import { createLive } from './live.js';
import { createUnitView } from './unit_view.js';

const HAND = 6; // units that a reviewer has in hand
const LOW = 3; // of which so few bring more
const AGAIN = 3000;
const PATIENCE = 2000; // of who leaves while answers are on their way
const MOST_DIGITS = 5;
const HELP = [
  ['0', 'none'],
  ['1–9 Enter', 'how many'],
  ['U', 'undo'],
  ['S', 'skip'],
  ['?', 'cannot tell'],
];

export async function showJudging({ root, body, censuses, answers, author, onName, go, fail, asked: { id }, current }) {
  const [census, first] = await Promise.all([censuses.get(id), censuses.report(id)]);
  if (!current()) return undefined;
  const draft = draftOf(id);
  const live = createLive();
  live.show(first);
  let report = first;
  let hand = []; // units to judge, the first of which is shown
  let done = []; // { unit, answer } of this sitting, to undo, the last one last
  let points = []; // things clicked in this unit, in pixels of the scene
  let typed = '';
  let since = performance.now(); // when it was shown
  let over = false; // the server has no more units for this reviewer
  let reached = true; // whether the server could be reached for more
  let fetching = null;
  let left = false; // this view
  let cancel = () => {};

  const hint = h('p', { class: 'lk-hint', role: 'status' });
  const unsent = h('span', { class: 'lk-muted', role: 'status' });
  const view = createUnitView(censuses, {
    onPoints: (now) => {
      if (typed) return say('You typed a number: delete it to click things instead');
      points = now;
      return changed();
    },
    onOutside: () => say('Only things whose centre lies within the border count'),
  });
  const count = h('input', { type: 'text', inputmode: 'numeric', maxlength: MOST_DIGITS, autocomplete: 'off', 'aria-label': 'How many' });
  count.addEventListener('input', () => {
    typed = count.value.replace(/\D/g, '').slice(0, MOST_DIGITS);
    changed();
  });
  count.addEventListener('keydown', (event) => {
    if (event.key !== 'Enter') return;
    event.preventDefault();
    count.blur();
    goOn();
  });
  const as = h('span', { class: 'lk-as-place' });
  const buttons = {
    none: judgeButton('lk-none', 'None', '0', () => none()),
    next: judgeButton('lk-next', 'Next', '⏎', () => goOn()),
    unknown: judgeButton('lk-unknown', 'Cannot tell', '?', () => give(null)),
    skip: keyButton('skip', 'Skip', 'S', () => skip()),
    undo: keyButton('undo', 'Undo', 'U', () => undo()),
  };
  const controls = h(
    'section',
    { class: 'lk-panel lk-judge' },
    h('div', {}, h('h2', {}, 'How many?'), h('p', { class: 'lk-muted' }, `Counted: ${census.title}`)),
    h('div', { class: 'lk-count' }, count, buttons.next, buttons.none),
    h('div', { class: 'lk-count lk-others' }, buttons.unknown, buttons.skip, buttons.undo),
    TOUCH ? null : h('p', { class: 'lk-muted lk-help' }, ...HELP.flatMap(([key, words]) => [h('kbd', {}, key), ` ${words} `])),
    as,
  );
  // Keys go on from where the pointer pressed a button.
  controls.addEventListener('click', ({ detail, target }) => detail && target.closest('button')?.blur());
  const stage = h('div', {});
  const bar = h('div', { class: 'lk-bar-done' });
  const status = h('p', { role: 'status', class: 'lk-muted' });
  const layout = h(
    'div',
    { class: 'lk-review' },
    h('header', { class: 'lk-review-head' }, backLink(census.title, leave), h('span', { class: 'lk-bar-all', 'aria-hidden': true }, bar), status, unsent),
    h('div', { class: 'lk-judging' }, h('div', { class: 'lk-unit-place' }, stage, hint), h('aside', { class: 'lk-beside' }, controls, live.element)),
  );
  body.replaceChildren(layout);
  const stopListening = answers.listen({
    live: ({ census: of, kind }, answer) => {
      if (of !== id) return;
      if (kind === 'answer') showReport(answer);
      if (kind === 'undo') censuses.report(id).then(showReport, () => {});
      more();
    },
    refused: ({ census: of, unit }, problem) => {
      if (of !== id) return;
      done = done.filter((each) => each.unit.id !== unit);
      fail(problem);
    },
    length: (number) => (unsent.textContent = number ? `${plural(number, 'answer')} not sent yet` : ''),
  });
  const forget = listenToKeys(root, press);
  onName(() => {
    // Units in hand are of the name before; what was judged stays with it.
    hand = [];
    done = [];
    over = false;
    draw();
    more();
  });
  drawStatus();
  draw();
  author.asked().then(() => {
    if (left) return;
    draw();
    more();
  });
  return () => {
    left = true;
    cancel();
    forget();
    view.stop();
    stopListening();
    onName(() => {});
  };

  // What is on its way counts in the result; an outage keeps nobody here.
  function leave() {
    const see = () => !left && current() && go({ census: id });
    later('the last answers', answers.unsent(id).size ? PATIENCE : 0, see);
    answers.flushed().then(see);
  }

  function showReport(now) {
    report = now;
    live.show(report);
    drawStatus();
  }

  function drawStatus() {
    bar.style.width = `${(100 * report.judged) / report.units}%`;
    status.textContent = `${formatCount(report.judged)} of ${plural(report.units, 'unit')}`;
  }

  // Asks for more units; those in hand come again, so that a reload loses none.
  function more() {
    if (left || over || hand.length > LOW || !author.known()) return;
    fetching ??= fetchMore().finally(() => (fetching = null));
  }

  async function fetchMore() {
    cancel();
    const reviewer = author.name();
    try {
      await answers.flushed();
      const { units, done: none } = await handed(reviewer);
      if (left || reviewer !== author.name()) return;
      reached = true;
      view.again();
      const known = new Set([...hand.map((unit) => unit.id), ...answers.unsent(id)]);
      const was = hand.length;
      hand = [...hand, ...units.filter((unit) => !known.has(unit.id))];
      over = none && !hand.length;
      for (const unit of hand.slice(1)) view.preload(unit);
      if (!was) {
        hand.sort((a, b) => (b.id === draft.unit()) - (a.id === draft.unit())); // what was begun goes on
        begin();
      }
    } catch (problem) {
      if (left) return;
      if (problem.status >= 400 && problem.status < 500) {
        over = !hand.length;
        fail(problem);
        draw();
        return;
      }
      reached = false;
      cancel = later('units to be asked for again', AGAIN, more);
      if (!hand.length) draw();
    }
  }

  // Those that were taken back come after the others in hand: the one that was begun may be among them.
  async function handed(reviewer) {
    const found = await censuses.next(id, reviewer, HAND);
    const begun = !hand.length && draft.unit();
    if (!begun || found.units.length < HAND || found.units.some((unit) => unit.id === begun)) return found;
    return censuses.next(id, reviewer, 2 * HAND);
  }

  // The first unit in hand, with what was clicked in it before a reload.
  function begin() {
    const kept = hand.length ? draft.read(hand[0].id) : null;
    points = kept?.points ?? [];
    typed = kept?.typed ?? '';
    since = performance.now();
    draw();
  }

  function say(words) {
    hint.textContent = words;
    hint.hidden = !words;
  }

  function changed() {
    draft.keep(hand[0]?.id, { points, typed });
    draw();
  }

  function draw() {
    const [unit] = hand;
    say('');
    if (unit) {
      if (stage.firstChild !== view.element) stage.replaceChildren(view.element);
      view.show(unit, points);
    } else stage.replaceChildren(instead());
    count.value = points.length || typed;
    count.readOnly = points.length > 0;
    count.placeholder = 'Click or type';
    const given = points.length > 0 || typed !== '';
    buttons.none.disabled = !unit || given;
    buttons.next.disabled = !unit || !given;
    buttons.unknown.disabled = !unit;
    buttons.skip.disabled = hand.length < 2;
    buttons.undo.disabled = !given && !done.length && !report.judged;
    controls.classList.toggle('lk-off', !unit);
    as.replaceChildren(author.button());
  }

  function instead() {
    if (!author.known()) return blank('Who judges?', 'Judgements are kept with a name. Give yours below; it is asked for once.');
    if (over) {
      const all = report.judged >= report.units;
      const see = h('button', { class: 'lk-button lk-primary', type: 'button', onclick: leave }, 'See the result');
      return all
        ? blank('Every unit is judged', 'The total is a count now.', see)
        : blank('Nothing to judge for you now', 'The other units are in the hands of other reviewers. What they leave comes here within half an hour.', see);
    }
    if (!reached) return blank('The server cannot be reached', 'What you judged is kept here and sent again. This goes on by itself.');
    return h('div', { class: 'lk-unit lk-skeleton', role: 'status', 'aria-label': 'Loading' });
  }

  // ---- What the reviewer does.

  function none() {
    if (points.length) say(`You clicked ${points.length}: Enter goes on, U takes the last one away`);
    else give(0);
  }

  function goOn() {
    if (points.length) give(points.map((at) => lonLatOf(hand[0], at).map((v) => Number(v.toFixed(7)))));
    else if (typed !== '') give(Number(typed));
    else say('Click each thing, or press 0 for none');
  }

  function give(answer) {
    const unit = hand.shift();
    if (!unit) return;
    const seconds = Math.max(0.1, Math.round((performance.now() - since) / 100) / 10);
    done.push({ unit, answer });
    draft.keep(unit.id, null);
    const reviewer = author.name();
    begin();
    answers.add({ kind: 'answer', census: id, reviewer, unit: unit.id, answer, seconds });
    more();
  }

  function skip() {
    if (hand.length < 2) return;
    const unit = hand.shift();
    hand.push(unit);
    draft.keep(unit.id, null);
    answers.add({ kind: 'skip', census: id, reviewer: author.name(), unit: unit.id });
    begin();
  }

  // The last click or digit of this unit; without one, the last answer.
  function undo() {
    if (points.length) {
      points = points.slice(0, -1);
      return changed();
    }
    if (typed) {
      typed = typed.slice(0, -1);
      return changed();
    }
    const last = done.pop();
    if (!last) return undoEarlier();
    answers.add({ kind: 'undo', census: id, reviewer: author.name(), unit: last.unit.id });
    return takeUp(last);
  }

  // One of an earlier sitting, which the server knows.
  async function undoEarlier() {
    try {
      await answers.flushed();
      const taken = await censuses.undo(id, author.name());
      if (left) return;
      showReport(await censuses.report(id));
      takeUp(taken);
    } catch (problem) {
      if (problem.status === 404) say('You have judged nothing that could be taken back');
      else fail(problem);
    }
  }

  function takeUp({ unit, answer }) {
    over = false;
    const clicked = Array.isArray(answer) ? answer.map((at) => pixelOf(unit, at)) : [];
    draft.keep(unit.id, { points: clicked, typed: answer > 0 ? String(answer) : '' });
    hand = [unit, ...hand.filter((other) => other.id !== unit.id)];
    begin();
  }

  function press({ key, ctrlKey, metaKey, altKey }) {
    if ((ctrlKey || metaKey) && key === 'z') return took(undo);
    if (ctrlKey || metaKey || altKey) return false;
    if (key === 'Escape') return took(leave);
    if (['u', 'U', 'Backspace'].includes(key)) return took(undo);
    if (!hand.length) return false;
    if (/^\d$/.test(key)) return took(() => digit(key));
    if (key === 'Enter') return took(goOn);
    if (key === 's' || key === 'S') return took(skip);
    if (key === '?') return took(() => give(null));
    return false;
  }

  function digit(key) {
    if (key === '0' && !typed) return none();
    if (points.length) return say(`You clicked ${points.length}: Enter goes on, U takes the last one away`);
    typed = `${typed}${key}`.slice(0, MOST_DIGITS);
    return changed();
  }
}

const took = (act) => {
  act();
  return true;
};

function judgeButton(kind, words, key, onclick) {
  return h('button', { class: `lk-button ${kind}`, type: 'button', onclick }, words, h('kbd', {}, key));
}

const blank = (title, words, ...more) =>
  h('section', { class: 'lk-blank' }, h('h2', {}, title), h('p', {}, words), ...more);

// What was clicked or typed in a unit and not answered yet; a reload finds it.
function draftOf(census) {
  const name = `lookalike:census-draft:${census}`;
  const kept = () => JSON.parse(sessionStorage.getItem(name) || 'null');
  return {
    unit: () => kept()?.unit,
    read: (unit) => (kept()?.unit === unit ? kept() : null),
    keep: (unit, what) => (what ? sessionStorage.setItem(name, JSON.stringify({ unit, ...what })) : sessionStorage.removeItem(name)),
  };
}

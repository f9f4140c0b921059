// Judging: unit after unit, large; each thing clicked, or how many typed; what that says beside it.
import { backLink } from '../shared/back_link.js';
import { h } from '../shared/dom.js';
import { formatCount, plural } from '../shared/format.js';
import { later } from '../shared/idle.js';
import { listenToKeys } from '../shared/keys.js';
import { lonLatOf, pixelOf } from './geometry.js';
import { createHand } from './hand.js';
import { createLive } from './live.js';
import { createPanel } from './panel.js';
import { createUnitView } from './unit_view.js';

const MOST_THINGS = 10_000; // in one unit, as the server has it
const PATIENCE = 2000; // of who leaves while answers are on their way

export async function showJudging({ root, body, censuses, answers, author, onName, go, fail, asked: { id }, current }) {
  const [census, first] = await Promise.all([censuses.get(id), censuses.report(id)]);
  if (!current()) return undefined;
  const draft = draftOf(id);
  let report = first;
  let done = []; // { unit, answer } of this sitting, to undo, the last one last
  let points = []; // things clicked in this unit, in pixels of the scene
  let typed = '';
  let since = 0; // when it was shown
  let left = false; // this view

  const hand = createHand({ id, censuses, answers, author, begun: draft.unit, changed: begin, fail });
  const view = createUnitView(censuses, { onPoints: click, onOutside: () => say('Only things whose centre lies within the border count') });
  const panel = createPanel({ title: census.title, author, acts: { typed: type, none, goOn, unknown: () => give(null), skip, undo } });
  const live = createLive();
  const frame = createFrame(census.title, leave, panel.element, live.element);
  body.replaceChildren(frame.element);
  const stopListening = answers.listen({
    live: ({ census: of, kind }, answer) => {
      if (of !== id) return;
      if (kind === 'answer') showReport(answer);
      if (kind === 'undo') censuses.report(id).then(showReport, () => {});
      hand.more();
    },
    refused: ({ census: of, unit }, problem) => {
      if (of !== id) return;
      done = done.filter((each) => each.unit.id !== unit);
      fail(problem);
      if (problem.status === 409) censuses.report(id).then(showReport, () => {}); // somebody judges, too
    },
    length: frame.showUnsent,
  });
  const forget = listenToKeys(root, press);
  onName(() => {
    // Units in hand are of the name before, and what was judged stays with it.
    hand.empty();
    done = [];
    begin();
  });
  showReport(first);
  draw();
  author.asked().then(() => left || begin());
  return () => {
    left = true;
    hand.stop();
    forget();
    view.stop();
    stopListening();
    onName(() => {});
  };

  // What is on its way counts in the result; an outage keeps nobody here.
  function leave() {
    const see = () => {
      stop();
      if (!left && current()) go({ census: id });
    };
    const stop = later('the last answers', PATIENCE, see);
    answers.flushed().then(see);
  }

  function showReport(now) {
    report = now;
    live.show(report);
    frame.showDone(report);
  }

  // The first unit in hand, with what was clicked in it before a reload.
  function begin() {
    const kept = hand.first() ? draft.read(hand.first().id) : null;
    points = kept?.points ?? [];
    typed = kept?.typed ?? '';
    since = performance.now();
    draw();
    for (const unit of hand.ahead()) view.preload(unit);
    hand.more();
  }

  function changed() {
    draft.keep(hand.first().id, { points, typed });
    draw();
  }

  function draw() {
    const unit = hand.first();
    say('');
    if (unit) view.show(unit, points);
    frame.showUnit(unit ? view.element : instead());
    panel.show({ unit, alone: !hand.ahead().length, clicked: points.length, typed, undoable: done.length > 0 || report.judged > 0 });
  }

  function instead() {
    if (!author.known()) return blank('Who judges?', 'Judgements are kept with a name. Give yours below; it is asked for once.');
    if (!hand.reached()) return blank('The server cannot be reached', 'Your answers are kept in this browser and sent again automatically.');
    if (!hand.over()) return h('div', { class: 'lk-unit lk-skeleton', role: 'status', 'aria-label': 'Loading' });
    const see = h('button', { class: 'lk-button lk-primary', type: 'button', onclick: leave }, 'See the result');
    if (report.judged >= report.units) return blank('Every unit is judged', 'The total is a count now.', see);
    return blank('Nothing for you to judge right now', 'Other reviewers have the remaining units. Those they leave unanswered return within half an hour.', see);
  }

  function say(words) {
    frame.showHint(words);
  }

  // ---- What the reviewer does.

  function click(now) {
    if (typed) return say('You typed a number: delete it to click things instead');
    points = now;
    return changed();
  }

  function type(words) {
    if (!hand.first()) return undefined;
    if (points.length) return say(`You clicked ${points.length}: Enter goes on, U takes the last one away`);
    if (/\D/.test(words) || Number(words) > MOST_THINGS) {
      draw(); // with the number before
      return say(`How many is a whole number, ${formatCount(MOST_THINGS)} at most`);
    }
    typed = words;
    return changed();
  }

  function none() {
    if (points.length) type('');
    else give(0);
  }

  function goOn() {
    if (points.length) give(points.map((at) => lonLatOf(hand.first(), at).map((v) => Number(v.toFixed(7)))));
    else if (typed !== '') give(Number(typed));
    else say('Click each thing, or press 0 for none');
  }

  function send(kind, unit, more = {}) {
    answers.add({ kind, census: id, reviewer: author.name(), unit: unit.id, ...more });
  }

  function give(answer) {
    const unit = hand.first();
    if (!unit) return;
    const seconds = Math.max(0.1, Math.round((performance.now() - since) / 100) / 10);
    done.push({ unit, answer });
    draft.forget();
    hand.drop();
    send('answer', unit, { answer, seconds });
    begin();
  }

  function skip() {
    const unit = hand.first();
    if (!hand.ahead().length) return;
    draft.forget();
    hand.putOff();
    send('skip', unit);
    begin();
  }

  // The last click or digit of this unit; without one, the last answer.
  function undo() {
    if (points.length) return click(points.slice(0, -1));
    if (typed) return type(typed.slice(0, -1));
    const last = done.pop();
    if (!last) return undoEarlier();
    send('undo', last.unit);
    return takeUp(last);
  }

  // One of an earlier sitting, which the server knows.
  async function undoEarlier() {
    try {
      await answers.flushed();
      const taken = await censuses.undo(id, author.name());
      if (left) return;
      takeUp(taken);
      showReport(await censuses.report(id));
    } catch (problem) {
      if (problem.status === 404) say('There is no answer of yours to undo');
      else fail(problem);
    }
  }

  function takeUp({ unit, answer }) {
    const clicked = Array.isArray(answer) ? answer.map((at) => pixelOf(unit, at)) : [];
    draft.keep(unit.id, { points: clicked, typed: answer > 0 ? String(answer) : '' });
    hand.takeUp(unit);
    begin();
  }

  function press({ key, ctrlKey, metaKey, altKey }) {
    if ((ctrlKey || metaKey) && key === 'z') return took(undo);
    if (ctrlKey || metaKey || altKey) return false;
    if (key === 'Escape') return took(leave);
    if (['u', 'U', 'Backspace'].includes(key)) return took(undo);
    if (!hand.first()) return false;
    if (key === '0' && !typed) return took(none);
    if (/^\d$/.test(key)) return took(() => type(`${typed}${key}`));
    if (key === 'Enter') return took(goOn);
    if (key === 's' || key === 'S') return took(skip);
    if (key === '?') return took(() => give(null));
    return false;
  }
}

const took = (act) => {
  act();
  return true;
};

// What stands around the unit.
function createFrame(title, leave, ...beside) {
  const bar = h('div', { class: 'lk-bar-done' });
  const status = h('p', { role: 'status', class: 'lk-muted' });
  const unsent = h('span', { class: 'lk-muted', role: 'status' });
  const hint = h('p', { class: 'lk-hint', role: 'status' });
  const stage = h('div', {});
  return {
    element: h(
      'div',
      { class: 'lk-review' },
      h('header', { class: 'lk-review-head' }, backLink(title, leave), h('span', { class: 'lk-bar-all', 'aria-hidden': true }, bar), status, unsent),
      h('div', { class: 'lk-judging' }, h('div', { class: 'lk-unit-place' }, stage, hint), h('aside', { class: 'lk-beside' }, ...beside)),
    ),
    showUnit: (element) => stage.firstChild === element || stage.replaceChildren(element),
    showHint(words) {
      hint.textContent = words;
      hint.hidden = !words;
    },
    showDone({ judged, units }) {
      bar.style.width = `${(100 * judged) / units}%`;
      status.textContent = `${formatCount(judged)} of ${plural(units, 'unit')}`;
    },
    showUnsent: (number) => (unsent.textContent = number ? `${plural(number, 'answer')} not sent yet` : ''),
  };
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
    keep: (unit, what) => sessionStorage.setItem(name, JSON.stringify({ unit, ...what })),
    forget: () => sessionStorage.removeItem(name),
  };
}

// The views of a page that keeps its steps to itself: the one that the address asks for, in the body of
// the page, with Back and Forward, what is waited for, and what went wrong.
import { h } from './dom.js';
import { createHistory } from './history.js';
import { expose, later } from './idle.js';
import { problemNote } from './problem.js';

// `readAddress()` returns what is asked for, with the name of its view in `views`; that is called with
// `context`, fills the body last, and returns, or resolves to, what to call when it is left.
// `showMissing(context, problem)` shows that there is no such thing.
export function createViews({ root, page, views, readAddress, context, showMissing }) {
  const body = h('div', { class: 'lk-view' });
  const note = h('div', { class: 'lk-problem', role: 'alert', hidden: true });
  root.prepend(body, note);
  let leave = () => {}; // cleanup of the current view
  let turn = 0;
  const steps = createHistory(page, show);
  const all = { ...context, root, body, go, fail, address };

  // Shows what the address asks for.
  async function show() {
    const mine = ++turn;
    leave();
    leave = () => {};
    note.hidden = true;
    const asked = readAddress();
    root.dataset.state = 'loading';
    root.dataset.view = asked.view;
    const showNothing = later('the view', 150, () => mine === turn && showLoading(body));
    try {
      const left = await views[asked.view]({ ...all, asked, current: () => mine === turn });
      if (mine === turn) leave = left || leave;
      else left?.();
    } catch (refusal) {
      if (mine === turn) showMissing(all, refusal);
    } finally {
      showNothing();
      if (mine === turn) root.dataset.state = 'live';
    }
  }

  function go(fields) {
    if (!steps.ownsAddress()) return; // another page is on its way
    const place = new URL(address(fields), location.href).href;
    if (place !== location.href) history.pushState(history.state, '', place); // no double click
    show();
    root.closest('[data-testid=stMain]')?.scrollTo(0, 0);
  }

  function fail(refusal) {
    if (!refusal.message) return;
    note.hidden = false;
    note.replaceChildren(...problemNote(refusal, () => (note.hidden = true)));
  }

  show();
  expose({});
  return {
    stop() {
      turn++;
      leave();
      steps.stop();
      body.remove();
      note.remove();
    },
  };
}

function address(fields) {
  const text = new URLSearchParams(fields).toString();
  return text ? `${location.pathname}?${text}` : location.pathname;
}

function showLoading(body) {
  const row = () => h('div', { class: 'lk-skeleton lk-waiting-row', 'aria-hidden': true });
  body.replaceChildren(h('p', { class: 'lk-offscreen', role: 'status' }, 'Loading'), row(), row());
}

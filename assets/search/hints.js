// Two hints over the first results, where they cover nothing; dismissed ones never come back.
import { h, iconButton, TOUCH } from '../shared/dom.js';

const MEMORY = 'lookalike:tour';
const HINTS = [
  {
    words:
      `Mark good or bad results${TOUCH ? '' : ' (G, B)'}, then Refine to move the search towards ` +
      'the good ones.',
    done: ({ good, bad }) => good.length + bad.length > 0,
  },
  {
    words:
      'The flame button on the map colours everything by similarity. Filters limit where to ' +
      `search.${TOUCH ? '' : ' Press ? for keyboard shortcuts.'}`,
  },
];

export function createHints({ store, root }) {
  let at = Number(localStorage.getItem(MEMORY) || 0);
  const note = h('aside', { class: 'lk-tour', 'aria-label': 'Hint' });
  root.querySelector('.lk-cards').before(note);

  function go(next) {
    at = next;
    localStorage.setItem(MEMORY, String(at));
    draw(store.state);
  }

  function draw(state) {
    const hint = HINTS[at];
    if (hint?.done?.(state)) return go(at + 1); // done is understood
    note.hidden = !hint || !state.shown.length;
    if (note.hidden) return note.replaceChildren();
    const last = at === HINTS.length - 1;
    return note.replaceChildren(
      h('p', {}, h('b', {}, `${at + 1} of ${HINTS.length} `), hint.words),
      h(
        'button',
        { class: 'lk-button', type: 'button', onclick: () => go(at + 1) },
        last ? 'Done' : 'Next',
      ),
      iconButton('clear', 'Hide hints', () => go(HINTS.length)),
    );
  }

  const stop = store.watch(['shown', 'good', 'bad'], draw);
  return {
    stop() {
      stop();
      note.remove();
    },
  };
}

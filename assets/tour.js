// Three hints on the first visit, each where it helps; dismissed ones never come back.
import { h, icon } from './dom.js';

const MEMORY = 'lookalike:tour';
const HINTS = [
  {
    words: 'Click something on the image, or draw a box round it: the places most like it follow.',
    when: () => true,
    done: ({ shown }) => shown.length > 0,
  },
  {
    words: 'Mark results good or bad (G, B), then Refine: the search moves towards the good ones.',
    when: ({ shown }) => shown.length > 0,
    done: ({ good, bad }) => good.length + bad.length > 0,
  },
  {
    words: 'The flame colours everything by similarity. Filters say where to look. ? lists the keys.',
    when: ({ shown }) => shown.length > 0,
  },
];

export function createTour({ store, root }) {
  let at = Number(localStorage.getItem(MEMORY) || 0);
  const note = h('aside', { class: 'lk-tour', 'aria-label': 'Hint' });
  root.querySelector('.lk-map-pane').append(note);

  function go(next) {
    at = next;
    localStorage.setItem(MEMORY, String(at));
    draw(store.state);
  }

  function draw(state) {
    const hint = HINTS[at];
    if (hint?.done?.(state)) return go(at + 1); // done is understood
    // Nothing may lie over the map while someone draws on it.
    note.hidden = !hint || !hint.when(state) || Boolean(state.trouble || state.drawing);
    if (note.hidden) return note.replaceChildren();
    const last = at === HINTS.length - 1;
    return note.replaceChildren(
      h('p', {}, h('b', {}, `${at + 1} of ${HINTS.length} `), hint.words),
      h(
        'button',
        { class: 'lk-button', type: 'button', onclick: () => go(at + 1) },
        last ? 'Done' : 'Next',
      ),
      h(
        'button',
        {
          class: 'lk-ghost',
          type: 'button',
          title: 'No more hints',
          'aria-label': 'No more hints',
          onclick: () => go(HINTS.length),
        },
        icon('clear'),
      ),
    );
  }

  const stop = store.watch(['shown', 'good', 'bad', 'trouble', 'drawing'], draw);
  return {
    stop() {
      stop();
      note.remove();
    },
  };
}

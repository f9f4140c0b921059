// The panel that answers are given in: how many, and buttons that name their keys.
import { h, TOUCH } from '../shared/dom.js';
import { keyButton } from '../shared/keys.js';

const MOST_DIGITS = 6;
const HELP = [
  ['0', 'none'],
  ['1–9 Enter', 'how many'],
  ['U', 'undo'],
  ['S', 'skip'],
  ['?', 'cannot tell'],
];

// `acts` has what is done: typed(words), none, goOn, unknown, skip and undo.
export function createPanel({ title, author, acts }) {
  const count = h('input', { type: 'text', inputmode: 'numeric', maxlength: MOST_DIGITS, autocomplete: 'off', placeholder: 'Click or type', 'aria-label': 'How many' });
  count.addEventListener('input', () => acts.typed(count.value.trim()));
  count.addEventListener('keydown', (event) => {
    if (event.key !== 'Enter') return;
    event.preventDefault();
    count.blur();
    acts.goOn();
  });
  const none = button('lk-none', 'None', '0', acts.none);
  const next = button('lk-next', 'Next', '⏎', acts.goOn);
  const unknown = button('lk-unknown', 'Cannot tell', '?', acts.unknown);
  const skip = keyButton('skip', 'Skip', 'S', acts.skip);
  const undo = keyButton('undo', 'Undo', 'U', acts.undo);
  const as = h('span', { class: 'lk-as-place' });
  const element = h(
    'section',
    { class: 'lk-panel lk-judge' },
    h('div', {}, h('h2', {}, 'How many?'), h('p', { class: 'lk-muted' }, `Counted: ${title}`)),
    h('div', { class: 'lk-count' }, count, next, none),
    h('div', { class: 'lk-count' }, unknown, skip, undo),
    TOUCH ? null : h('p', { class: 'lk-muted lk-help' }, ...HELP.flatMap(([key, words]) => [h('kbd', {}, key), ` ${words} `])),
    as,
  );
  // Keys go on from where the pointer pressed a button.
  element.addEventListener('click', ({ detail, target }) => detail && target.closest('button')?.blur());

  return {
    element,
    show({ unit, alone, clicked, typed, undoable }) {
      const given = clicked > 0 || typed !== '';
      count.value = clicked || typed;
      count.readOnly = clicked > 0;
      none.disabled = !unit || given;
      next.disabled = !unit || !given;
      unknown.disabled = !unit;
      skip.disabled = !unit || alone;
      undo.disabled = !given && !undoable;
      as.replaceChildren(author.button());
    },
  };
}

const button = (kind, words, key, onclick) =>
  h('button', { class: `lk-button ${kind}`, type: 'button', onclick: () => onclick() }, words, h('kbd', {}, key));

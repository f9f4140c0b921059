// Who marks: the signed-in person, else a name that this browser was asked for once.
import { h } from './dom.js';

const KEY = 'lookalike:author';
const LONGEST = 80; // of a name; the server's own, see pipeline/collection/marks.py

// What tells two browsers apart that gave no name.
const guest = () => `Guest ${1000 + (crypto.getRandomValues(new Uint16Array(1))[0] % 9000)}`;

function read() {
  const kept = JSON.parse(localStorage.getItem(KEY) || 'null');
  return kept?.name ? kept : keep({ name: guest(), asked: false });
}

function keep(author) {
  localStorage.setItem(KEY, JSON.stringify(author));
  return author;
}

// The question is asked below `root`, once; `onName(before, name)` hears of another name.
export function createAuthor({ root, person = '', onName = () => {} }) {
  const name = () => person || read().name;
  let answered = () => {};
  const field = h('input', { type: 'text', maxlength: LONGEST, 'aria-label': 'Your name' });
  const skip = h('button', { class: 'lk-button', type: 'button', onclick: () => answer(field.defaultValue) });
  const form = h(
    'form',
    { class: 'lk-author', 'aria-label': 'Who marks', hidden: true },
    h('label', {}, h('span', {}, 'Your name, for your marks'), field),
    h('button', { class: 'lk-button lk-primary', type: 'submit' }, 'Save'),
    skip,
  );
  root.append(form);
  form.addEventListener('submit', (event) => {
    event.preventDefault();
    answer(field.value);
  });
  form.addEventListener('keydown', (event) => {
    event.stopPropagation(); // no key of the page
    if (event.key === 'Escape') answer(field.defaultValue);
  });

  function answer(text) {
    const before = name();
    const after = text.replace(/\s+/g, ' ').trim().slice(0, LONGEST) || before;
    keep({ name: after, asked: true });
    form.hidden = true;
    answered();
    if (after !== before) onName(before, after);
  }

  // The field has a name in it already, so that there is one however this is answered.
  function ask() {
    if (person) return;
    field.defaultValue = field.value = name();
    skip.textContent = read().asked ? 'Cancel' : 'Stay a guest';
    form.hidden = false;
  }

  return {
    name,
    // Whether somebody may take back a mark of this author; those without one are anybody's.
    owns: (author) => !author || author === name(),
    // A mark was given: the first one asks.
    marked: () => person || read().asked || ask(),
    known: () => Boolean(person || read().asked),
    // Resolves once this browser has been asked, for judging that begins with a name.
    asked: () =>
      new Promise((resolve) => {
        if (person || read().asked) return resolve();
        answered = resolve;
        ask();
        return field.select();
      }),
    // The name in words, which asks for another one.
    button() {
      const words = `as ${name()}`;
      if (person) return h('span', { class: 'lk-muted lk-as' }, words);
      const change = () => {
        ask();
        field.select();
      };
      return h('button', { class: 'lk-as', type: 'button', title: 'Change the name kept with your marks', onclick: change }, words);
    },
    stop: () => form.remove(),
  };
}

// What a mark says when it is pointed at.
export const byWhom = (words, author) => (author ? `${words}, by ${author}` : words);

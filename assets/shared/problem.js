// What went wrong, as a note that can be dismissed: what, where and the remedy.
import { h, iconButton } from './dom.js';

const sentence = (text) => (/[.!?…]$/.test(text) ? text : `${text}.`);

// An Error, such as a Refusal, has a message; what we say ourselves a title.
export function problemText({ message, title = message, detail, remedy }) {
  return h(
    'div',
    {},
    h('strong', {}, sentence(title)),
    detail ? h('code', {}, detail) : null,
    remedy ? h('p', {}, sentence(remedy)) : null,
  );
}

export const problemNote = (problem, dismiss) => [
  problemText(problem),
  iconButton('clear', 'Dismiss', dismiss, { title: null }),
];

// What reviewing and checking share: three verdicts, their keys, and buttons that name their key.
import { h, icon } from '../shared/dom.js';

const MARK_KEYS = { g: 'good', b: 'bad', s: 'skip', ' ': 'skip' };

// Listens to keys until the function that it returns is called. `other` maps further keys.
export function listenToKeys(root, mark, other) {
  function onKey(event) {
    if (event.altKey || event.ctrlKey || event.metaKey) return;
    if (event.target.closest?.('input, textarea, select')) {
      if (event.key === 'Escape') event.target.blur();
      return;
    }
    const onButton = event.target.closest?.('button, a') && (event.key === ' ' || event.key === 'Enter');
    const outside = event.target !== document.body && !event.target.contains(root);
    if (onButton || (outside && !root.contains(event.target))) return;
    if (event.key in MARK_KEYS) mark(MARK_KEYS[event.key]);
    else if (event.key in other) other[event.key]();
    else return;
    event.preventDefault();
  }
  document.addEventListener('keydown', onKey);
  return () => document.removeEventListener('keydown', onKey);
}

// The buttons of the three verdicts; `pressed` is the one given before, if any.
export function verdicts(mark, { skip = 'Skip', pressed = '' } = {}) {
  const button = (kind, words, letter) =>
    h(
      'button',
      {
        class: `lk-verdict lk-verdict-${kind}`,
        type: 'button',
        'aria-pressed': String(pressed === kind),
        onclick: () => mark(kind),
      },
      icon(kind),
      words,
      h('kbd', {}, letter),
    );
  const each = [['good', 'Good', 'G'], ['bad', 'Bad', 'B'], ['skip', skip, 'S']];
  return h('div', { class: 'lk-verdicts' }, ...each.map((one) => button(...one)));
}

export function keyButton(name, words, letter, onclick, disabled) {
  const attributes = { class: 'lk-button', type: 'button', onclick, disabled };
  return h('button', attributes, icon(name), words, letter ? h('kbd', {}, letter) : null);
}

// One hit large, and what surrounds it: two figures.
export const hitFigures = (source, around, name) => [
  h('figure', {}, h('img', { src: source, alt: name, width: 512, height: 512 }), h('figcaption', {}, name)),
  h(
    'figure',
    { class: 'lk-around' },
    h('img', { src: around, alt: 'Surroundings', width: 512, height: 512 }),
    h('span', { class: 'lk-frame', 'aria-hidden': true }),
    h('figcaption', {}, 'Surroundings'),
  ),
];

export const queryFigure = (source) =>
  h(
    'figure',
    { class: 'lk-wanted' },
    h('img', { src: source, alt: 'Query', width: 256, height: 256 }),
    h('figcaption', {}, 'Query'),
  );

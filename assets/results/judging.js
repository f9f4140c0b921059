// What reviewing and checking share: three verdicts, their keys, and pictures.
import { h, icon } from '../shared/dom.js';
import { listenToKeys } from '../shared/keys.js';

const MARK_KEYS = { g: 'good', b: 'bad', s: 'skip', ' ': 'skip' };

// Listens to keys until the function that it returns is called. `other` maps further keys.
export const listenToVerdicts = (root, mark, other) =>
  listenToKeys(root, ({ key, altKey, ctrlKey, metaKey }) => {
    if (altKey || ctrlKey || metaKey) return false;
    if (key in MARK_KEYS) mark(MARK_KEYS[key]);
    else if (key in other) other[key]();
    else return false;
    return true;
  });

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

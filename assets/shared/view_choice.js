// Whether the query is also searched turned, mirrored, nearer and farther.
import { h } from './dom.js';

const VIEWS = [
  ['any_orientation', 'Any orientation', 'Also find it turned or mirrored: all eight ways are searched'],
  ['any_scale', 'Any scale', 'Also find it smaller or larger: half and twice its ground are searched'],
];

export function viewChoice({ actions, store }) {
  const labels = VIEWS.map(([name, words, what]) => {
    const box = h('input', { type: 'checkbox', name });
    box.addEventListener('change', () => actions.setOption({ [name]: box.checked }));
    const title = `${what}. Its imagery is read again, which takes a moment`;
    return h('label', { class: 'lk-field', title }, box, h('span', {}, words));
  });
  const element = h('div', { class: 'lk-row lk-views' }, ...labels);
  const stop = store.watch(['query', 'options'], ({ query, options }) => {
    element.hidden = !query;
    for (const box of element.querySelectorAll('input')) box.checked = options[box.name];
  });
  return { element, stop };
}

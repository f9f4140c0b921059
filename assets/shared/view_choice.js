// Whether the query is also searched turned, mirrored, nearer and farther.
import { h } from './dom.js';

const VIEWS = [
  ['any_orientation', 'Any orientation', 'Also match rotated and mirrored views (eight in all)'],
  ['any_scale', 'Any scale', 'Also match at half and double scale'],
];

export function viewChoice({ actions, store }) {
  const labels = VIEWS.map(([name, words, what]) => {
    const box = h('input', { type: 'checkbox', name });
    box.addEventListener('change', () => actions.setOption({ [name]: box.checked }));
    const title = `${what}. The imagery is read again, which takes a moment`;
    return h('label', { class: 'lk-field', title }, box, h('span', {}, words));
  });
  const element = h('div', { class: 'lk-row lk-views' }, ...labels);
  const stop = store.watch(['query', 'options'], ({ query, options }) => {
    element.hidden = !query;
    for (const box of element.querySelectorAll('input')) box.checked = options[box.name];
  });
  return { element, stop };
}

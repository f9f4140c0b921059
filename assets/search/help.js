// The keys, and what can be done with the pointer.
import { h, iconButton } from '../shared/dom.js';

const KEYS = [
  [['←', '↑', '↓', '→'], 'Step through results; before a search, move over the grid'],
  [['Enter'], 'Search from the selected result, or the chip under the cursor'],
  [['E'], 'Add it to the query as one more example, or take it out (or Shift and click)'],
  [['G'], 'Mark the result good'],
  [['B'], 'Mark the result bad'],
  [['R'], 'Refine: search again; what is good comes first, then what is likest to good and least to bad'],
  [['U'], 'Undo the last mark or search'],
  [['X'], 'Draw a box to search by: arrows move it, Shift and arrows size it, Enter searches'],
  [['Z'], 'Zoom to the result, and back'],
  [['H'], 'Similarity heatmap'],
  [['I'], 'Where inside each result the match lies'],
  [['M'], 'Overlapping results as sites'],
  [['F'], 'Filters'],
  [['S'], 'Save the search'],
  [['Esc'], 'Clear'],
];

export function createHelp({ store, root }) {
  const close = () => store.set({ help: false });
  const dialog = h(
    'dialog',
    { class: 'lk-help', 'aria-labelledby': 'lk-help-title', onclose: close },
    h(
      'div',
      { class: 'lk-row' },
      h('h2', { id: 'lk-help-title' }, 'Keys'),
      h('span', { class: 'lk-push' }),
      iconButton('clear', 'Close', close, { title: null }),
    ),
    h(
      'dl',
      {},
      ...KEYS.map(([keys, words]) =>
        h('div', {}, h('dt', {}, ...keys.map((key) => h('kbd', {}, key))), h('dd', {}, words)),
      ),
    ),
    h(
      'p',
      { class: 'lk-muted' },
      'Scores say how similar a place is to the query, 1 being identical. After Refine the order ' +
        'follows your marks: scores and the heatmap are then measured against the query moved ' +
        'towards good and away from bad, so they no longer fall evenly.',
    ),
    h('p', { class: 'lk-muted' }, 'Double-click a result to zoom to it. The address is a link to the whole search.'),
  );
  dialog.addEventListener('click', (event) => event.target === dialog && close());
  root.append(dialog);
  const stop = store.watch(['help'], ({ help }) => {
    if (help && !dialog.open) dialog.showModal();
    else if (!help && dialog.open) dialog.close();
  });
  return {
    stop() {
      stop();
      dialog.remove();
    },
  };
}

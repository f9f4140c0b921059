// The keys, and what can be done with the pointer.
import { h, iconButton } from '../shared/dom.js';

const PLACE_KEYS = [
  [['←', '↑', '↓', '→'], 'Step through results, or through chips before a search'],
  [['Enter'], 'Search from the selected result or the chip under the cursor'],
  [['E'], 'Add the result to the query as an example, or remove it (also Shift+click)'],
  [['G'], 'Mark the result as good'],
  [['B'], 'Mark the result as bad'],
  [['R'], 'Refine: search again; good results come first, then those most similar to good and least to bad'],
  [['U'], 'Undo the last mark or search'],
  [['X'], 'Draw a search box: arrows move it, Shift+arrows resize it, Enter searches'],
  [['Z'], 'Zoom to the result and back'],
  [['H'], 'Similarity heatmap'],
  [['I'], 'Highlight the match inside each result'],
  [['M'], 'Merge overlapping results into sites'],
  [['F'], 'Filters'],
  [['S'], 'Save the search'],
  [['Esc'], 'Clear'],
];

const PLACE_NOTES = [
  'Scores say how similar a place is to the query; 1 is identical. After Refine, the order ' +
    'follows your marks: scores and the heatmap are measured against the query moved towards ' +
    'good and away from bad examples, so scores need not decrease down the list.',
  'Double-click a result to zoom to it. The address of the page is a link to the whole search.',
];

export function helpButton(store) {
  const look = { class: 'lk-ghost lk-help-button' };
  return iconButton('help', 'Keyboard shortcuts and help (?)', () => store.set({ help: true }), look);
}

// The store's `help` says whether the dialog is open.
export function createHelp({ store, root }, shortcuts = PLACE_KEYS, notes = PLACE_NOTES) {
  const close = () => store.set({ help: false });
  const closed = () => dialog.open || close(); // it may be open again by then
  const dialog = h(
    'dialog',
    { class: 'lk-help', 'aria-labelledby': 'lk-help-title', onclose: closed },
    h(
      'div',
      { class: 'lk-row' },
      h('h2', { id: 'lk-help-title' }, 'Keyboard shortcuts'),
      h('span', { class: 'lk-push' }),
      iconButton('clear', 'Close', close, { title: null }),
    ),
    h(
      'dl',
      {},
      ...shortcuts.map(([keys, words]) =>
        h('div', {}, h('dt', {}, ...keys.map((key) => h('kbd', {}, key))), h('dd', {}, words)),
      ),
    ),
    ...notes.map((words) => h('p', { class: 'lk-muted' }, words)),
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

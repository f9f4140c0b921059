// Keys of a view that is judged in, and buttons that name their key.
import { h, icon } from './dom.js';

// Calls `press(event)`, which returns whether it took the key, until the function that this returns is
// called.  Keys that a field, or a button in focus, needs for itself stay theirs.
export function listenToKeys(root, press) {
  function onKey(event) {
    if (event.target.closest?.('input, textarea, select')) {
      if (event.key === 'Escape') event.target.blur();
      return;
    }
    const onButton = event.target.closest?.('button, a, summary') && (event.key === ' ' || event.key === 'Enter');
    const outside = event.target !== document.body && !event.target.contains(root);
    if (onButton || (outside && !root.contains(event.target))) return;
    if (press(event)) event.preventDefault();
  }
  document.addEventListener('keydown', onKey);
  return () => document.removeEventListener('keydown', onKey);
}

export function keyButton(name, words, letter, onclick, disabled) {
  const attributes = { class: 'lk-button', type: 'button', onclick, disabled };
  return h('button', attributes, icon(name), words, letter ? h('kbd', {}, letter) : null);
}

// Keys: arrows step, Enter searches from the selected one, Esc clears, Z zooms and back.

const STEPS = {
  ArrowRight: [1, 0],
  ArrowLeft: [-1, 0],
  ArrowUp: [0, 1],
  ArrowDown: [0, -1],
};

export function listenToKeys({ actions, store, root, map }) {
  function onKey(event) {
    if (event.altKey || event.ctrlKey || event.metaKey || busyElsewhere(event, root)) return;
    if (event.key in STEPS) move(STEPS[event.key]);
    else if (event.key === 'Enter' && !onControl(event)) searchOn(store.state, actions);
    else if (event.key === 'Escape') actions.clear();
    else if (event.key === 'z') map.zoomOrBack(store.state.selected);
    else return;
    event.preventDefault();
  }
  function move(direction) {
    actions.step(direction, map.centre());
    const { shown, cursor } = store.state;
    if (!shown.length && cursor !== null) map.reveal(cursor);
  }
  document.addEventListener('keydown', onKey);
  return { stop: () => document.removeEventListener('keydown', onKey) };
}

function searchOn({ selected }, actions) {
  if (selected >= 0) actions.searchHit(selected);
  else actions.searchCursor();
}

// Typing in a field, or using something outside the explorer, is not for us.
function busyElsewhere({ target, key }, root) {
  if (target.closest?.('input[type=range], input[type=number], select, textarea')) {
    return key !== 'Escape';
  }
  return !target.contains(root) && !root.contains(target);
}

// Enter on a button presses that button, except on a result: there it searches from it.
function onControl({ target }) {
  const control = target.closest?.('button, a, input');
  return Boolean(control) && !control.classList.contains('lk-pick');
}

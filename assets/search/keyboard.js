// Keys; `help.js` says what each does.

const STEPS = {
  ArrowRight: [1, 0],
  ArrowLeft: [-1, 0],
  ArrowUp: [0, 1],
  ArrowDown: [0, -1],
};

export function listenToKeys({ actions, store, root, map }) {
  const pointed = () => (store.state.selected >= 0 ? store.state.selected : store.state.hovered);
  const LETTERS = {
    b: () => actions.mark(pointed(), 'bad'),
    e: () => exampleOn(store.state, actions),
    f: () => actions.toggle('panel'),
    g: () => actions.mark(pointed(), 'good'),
    h: () => actions.toggle('heat'),
    i: () => actions.toggle('inside'),
    m: () => actions.merge(!store.state.merged),
    r: () => actions.refine(),
    s: () => askName(store),
    u: () => actions.undo(),
    x: () => map.box()?.beginKeys(),
    z: () => map.zoomOrBack(store.state.selected),
    '?': () => store.set({ help: !store.state.help }),
  };

  function onKey(event) {
    if (event.altKey || event.metaKey || busyElsewhere(event, root)) return;
    const undo = event.ctrlKey && event.key === 'z';
    if (event.ctrlKey && !undo) return;
    if (store.state.drawing === 'keys' && adjustBox(event)) return event.preventDefault();
    if (undo) actions.undo();
    else if (event.key in STEPS) move(STEPS[event.key]);
    else if (event.key === 'Enter' && !onControl(event)) searchOn(store.state, actions);
    else if (event.key === 'Escape') leave(event);
    else if (event.key in LETTERS) LETTERS[event.key]();
    else return undefined;
    return event.preventDefault();
  }

  // Whether the key was for the box that is being drawn.
  function adjustBox(event) {
    const elsewhere = onControl(event) && !event.target.closest('.lk-map');
    if (event.key in STEPS) map.box().adjust(STEPS[event.key], event.shiftKey);
    else if (event.key === 'Enter' && !elsewhere) map.box().takeKeys();
    else return false;
    return true;
  }

  // Esc gives up the innermost thing that is under way.
  function leave({ target }) {
    const { help, drawing, saved, panel } = store.state;
    if (help) store.set({ help: false });
    else if (panel && target.closest?.('.lk-filters')) actions.toggle('panel');
    else if (drawing) map.stopDrawing();
    else if (saved?.state === 'asking') store.set({ saved: null });
    else actions.clear();
  }
  function move(direction) {
    actions.step(direction, map.centre());
    const { shown, cursor } = store.state;
    if (!shown.length && cursor !== null) map.reveal(cursor);
  }
  document.addEventListener('keydown', onKey);
  return { stop: () => document.removeEventListener('keydown', onKey) };
}

// A reopened search is saved already.
function askName({ state, set }) {
  if (state.query && !state.reopened) set({ saved: { state: 'asking', name: '' } });
}

function searchOn({ selected }, actions) {
  if (selected >= 0) actions.searchHit(selected);
  else actions.searchCursor();
}

function exampleOn({ selected, shown }, actions) {
  if (shown[selected]) actions.toggleExample(shown[selected]);
  else actions.exampleCursor();
}

// Typing in a field, or using something outside the explorer, is not for us.
function busyElsewhere({ target, key }, root) {
  if (target.closest?.('input:not([type=checkbox]), select, textarea')) {
    return key !== 'Escape';
  }
  return !target.contains(root) && !root.contains(target);
}

// Enter on a button presses that button, except on a result: there it searches from it.
function onControl({ target }) {
  const control = target.closest?.('button, a, input, summary');
  return Boolean(control) && !control.classList.contains('lk-pick');
}

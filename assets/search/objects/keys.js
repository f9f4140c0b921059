// Keys of object search.
const inField = ({ target }) => target.closest?.('input, select, textarea, [contenteditable]');

export function listenToObjectKeys({ store, actions, map }) {
  const step = (by) => {
    const { selected, shown } = store.state;
    if (shown.length) actions.select(Math.max(0, Math.min(shown.length - 1, selected + by)));
  };
  const mark = (label) => {
    const { shown, selected } = store.state;
    const at = Math.max(selected, 0);
    actions.mark(at, label);
    // If marked objects are hidden, the next one has taken its place.
    const left = store.state.shown.length;
    actions.select(Math.min(at + (left === shown.length ? 1 : 0), left - 1));
  };
  const judged = (act) => () => (store.state.judging ? act() : undefined);
  const tray = {
    g: () => actions.judge('good'),
    b: () => actions.judge('bad'),
    s: () => actions.judge('skip'),
    u: judged(actions.unjudge),
    Escape: actions.closeTray,
  };
  const acts = {
    ArrowRight: () => step(1),
    ArrowLeft: () => step(-1),
    g: () => mark('good'),
    b: () => mark('bad'),
    s: () => step(1),
    u: () => actions.undo(),
    h: () => actions.toggle('scoreMap'),
    x: () => map.draw('box'),
    p: () => map.draw('outline'),
    f: () => actions.toggle('panel'),
    '?': () => store.set({ help: true }),
    Escape: () => {
      if (store.state.drawing) return map.stopDrawing();
      if (store.state.panel) return actions.toggle('panel');
      return store.state.marks.size ? undefined : actions.clear(); // marks are not lost by a key
    },
  };
  // The dialog closes by keys here: its own event comes later, and a key in between would be lost.
  const closeHelp = () => store.set({ help: false });
  const keysNow = () => {
    if (store.state.help) return { '?': closeHelp, Escape: closeHelp };
    return store.state.judging ? { ...acts, ...tray } : acts;
  };
  const press = (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || inField(event)) return;
    const known = keysNow();
    const act = known[event.key] ?? known[event.key.toLowerCase()];
    if (!act) return;
    event.preventDefault();
    act();
  };
  addEventListener('keydown', press);
  return { stop: () => removeEventListener('keydown', press) };
}

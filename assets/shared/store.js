// One small observable state. Views subscribe to the keys they draw.

export function createStore(initial) {
  const state = { ...initial };
  const listeners = new Set();

  function set(changes) {
    const changed = Object.keys(changes).filter((key) => state[key] !== changes[key]);
    if (!changed.length) return;
    Object.assign(state, changes);
    for (const listener of [...listeners]) {
      if (listener.keys.some((key) => changed.includes(key))) listener.draw(state);
    }
  }

  // Calls `draw(state)` now and whenever one of `keys` changes; returns how to stop.
  function watch(keys, draw) {
    const listener = { keys, draw };
    listeners.add(listener);
    draw(state);
    return () => listeners.delete(listener);
  }

  return { state, set, watch };
}

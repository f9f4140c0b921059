// Whether the page has work under way: `lookalike.idle()` resolves once it has none.
// Tests and scripts that act on places of the map wait for it instead of for a time.

const pending = new Set(); // requests, timers and messages that have no answer yet
const maps = new Set(); // maps that may be moving or about to be resized

// Work has begun; returns what to call when it has ended.
export function beginWork(what) {
  const work = { what };
  pending.add(work);
  return () => pending.delete(work);
}

// The same for a promise, which is passed on.
export function during(what, promise) {
  promise.then(...Array(2).fill(beginWork(what)));
  return promise;
}

// Calls `act` after `ms` milliseconds and counts as work until then. Returns a function that cancels it.
export function later(what, ms, act) {
  const ended = beginWork(what);
  const timer = setTimeout(() => {
    act();
    ended();
  }, ms);
  return () => {
    clearTimeout(timer);
    ended();
  };
}

// A map counts as busy while it moves, while it does not have the size of its box yet, and while
// it waits for tiles.
export function followMap(map) {
  let moving = false;
  let zooming = false; // a change of size ends a move, but not a zoom
  map.on('movestart', () => (moving = true)).on('moveend', () => (moving = false));
  map.on('zoomstart', () => (zooming = true)).on('zoomend', () => (zooming = false));
  const loading = () => {
    let some = false;
    map.eachLayer((layer) => (some ||= Boolean(layer.isLoading?.())));
    return some;
  };
  const followed = {
    busy() {
      const { clientWidth, clientHeight, isConnected } = map.getContainer();
      if (!isConnected) return false; // its page was left
      const { x, y } = map.getSize();
      return moving || zooming || x !== clientWidth || y !== clientHeight || loading();
    },
    place() {
      const { left, top } = map.getContainer().getBoundingClientRect();
      return [left, top, map.getCenter(), map.getZoom()].join();
    },
  };
  maps.add(followed);
  return { zooming: () => zooming, stop: () => maps.delete(followed) };
}

// What is under way, in words.
export const waitingFor = () => [
  ...[...pending].map(({ what }) => what),
  ...[...maps].filter((map) => map.busy()).map(() => 'a map that moves or loads'),
];

// Resolves when nothing is under way and the maps have stayed in their place for two frames.
export function idle() {
  const places = () => [...maps].map((map) => map.place()).join(' ');
  return new Promise((done) => {
    let before = null;
    let still = 0;
    const look = () => {
      const now = waitingFor().length ? null : places();
      still = now !== null && now === before ? still + 1 : 0;
      before = now;
      if (still >= 2) done();
      else requestAnimationFrame(look);
    };
    look();
  });
}

// What a page shows of itself to tests and to the curious.
export function expose(things) {
  window.lookalike = { idle, waitingFor, ...things };
}

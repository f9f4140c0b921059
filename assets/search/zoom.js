import { gently } from '../map/base_map.js';
import { ring } from '../map/footprints.js';

// To a result and back to where one was.
export function createZoom(map, store, motion) {
  const inTurn = createTurns(map, motion);
  let before = null; // where one was, once the map has left it
  return {
    zoomTo(index) {
      const { shown, footprints } = store.state;
      if (!shown[index] || !footprints) return;
      const corners = ring(footprints, shown[index].row);
      store.set({ selected: index, away: true });
      inTurn(() => {
        before ??= { centre: map.getCenter(), zoom: map.getZoom() };
        const { x, y } = map.getSize();
        map.fitBounds(corners, { padding: [x / 5, y / 5], ...gently() });
      });
    },
    back() {
      if (!store.state.away) return;
      inTurn(() => {
        const { centre, zoom } = before;
        before = null;
        map.setView(centre, zoom, gently());
      });
      store.set({ away: false });
    },
  };
}

// Moves one after the other: Leaflet begins a zoom a frame after it is asked for one, and while it
// animates a zoom it ignores every other move.
function createTurns(map, motion) {
  const waiting = [];
  let asked = false;
  const next = () => {
    if (asked || motion.zooming() || !waiting.length) return;
    asked = true;
    waiting.shift()();
    requestAnimationFrame(() => {
      asked = false;
      next();
    });
  };
  map.on('moveend', next);
  map.on('unload', () => (waiting.length = 0));
  return (move) => {
    waiting.push(move);
    next();
  };
}

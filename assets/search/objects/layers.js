// What object search draws: objects as outlines or windows, the examples, the one that is selected,
// and the window that a click would take.
import { canvasGrid } from '../../map/canvas_grid.js';
import { h, TOUCH } from '../../shared/dom.js';
import { rankColour } from '../../shared/ranks.js';
import { ringOf } from './outlines.js';
import { markOf } from './place_marks.js';

const QUERY = '#22d3ee';
const MARKS = { good: '#22c55e', bad: '#ef4444' };

// Web Mercator pixels at zoom 0.
function project([lon, lat]) {
  const sine = Math.max(-0.9999, Math.min(0.9999, Math.sin((lat * Math.PI) / 180)));
  return [256 * (lon / 360 + 0.5), 256 * (0.5 - Math.log((1 + sine) / (1 - sine)) / (4 * Math.PI))];
}

export function drawObjects(L, map, { store }) {
  let layer = null;
  const draw = ({ shown, marks, outlines }) => {
    const before = layer;
    const shapes = shown.map((found, k) => {
      const ring = ringOf(found, outlines).map(project);
      const [xs, ys] = [0, 1].map((axis) => ring.map((point) => point[axis]));
      const colour = MARKS[markOf(found, marks)] ?? rankColour(k + 1, shown.length);
      return { ring, colour, box: [Math.min(...xs), Math.min(...ys), Math.max(...xs), Math.max(...ys)] };
    });
    layer = shapes.length ? canvasGrid(L, 'lk-objects', painter(shapes)).addTo(map) : null;
    before?.remove(); // after the new one is there: no blink
  };
  return store.watch(['shown', 'marks', 'outlines'], draw);
}

function painter(shapes) {
  return (pen, { x, y, z }, size) => {
    const scale = 2 ** z;
    const [left, top] = [x * size, y * size];
    pen.lineWidth = 2;
    pen.lineJoin = 'round';
    // The best last, so that it lies on top.
    for (const { ring, colour, box } of [...shapes].reverse()) {
      const [west, north, east, south] = box.map((value) => value * scale);
      if (east < left - 4 || west > left + size + 4 || south < top - 4 || north > top + size + 4) continue;
      pen.beginPath();
      ring.forEach(([a, b], k) => pen[k ? 'lineTo' : 'moveTo'](a * scale - left, b * scale - top));
      pen.closePath();
      pen.strokeStyle = 'rgb(11 18 32 / 0.7)';
      pen.lineWidth = 4;
      pen.stroke();
      pen.strokeStyle = colour;
      pen.lineWidth = 2;
      pen.stroke();
      if (east - west < 4) {
        pen.fillStyle = colour;
        pen.fillRect(west - left - 2, north - top - 2, 4, 4);
      }
    }
  };
}

// Place in `shown` of the best object under a point, or -1.
export function objectAt({ shown, outlines }, place) {
  const [drawn, windows] = [outlines, new Map()];
  return shown.findIndex(
    (found) => contains(ringOf(found, drawn), place) || contains(ringOf(found, windows), place),
  );
}

function contains(ring, { lng, lat }) {
  let inside = false;
  for (let k = 0, j = ring.length - 1; k < ring.length; j = k++) {
    const [[x, y], [u, v]] = [ring[k], ring[j]];
    if (y > lat !== v > lat && lng < ((u - x) * (lat - y)) / (v - y) + x) inside = !inside;
  }
  return inside;
}

const path = (ring) => ring.map(([lon, lat]) => [lat, lon]);

export function drawExamples(L, map, { store }) {
  const group = L.layerGroup().addTo(map);
  return store.watch(['answer', 'examples'], ({ answer, examples }) => {
    group.clearLayers();
    (examples.length ? (answer?.query.windows ?? []) : []).forEach((window) =>
      L.polygon(path(window.coordinates[0]), {
        pane: 'lk-query', color: QUERY, weight: 3, fill: false, interactive: false,
      }).addTo(group),
    );
  });
}

export function drawSelected(L, map, context) {
  const { store } = context;
  const group = L.layerGroup().addTo(map);
  const watched = ['selected', 'hovered', 'shown', 'outlines', 'asked', 'judging'];
  return store.watch(watched, ({ selected, hovered, shown, outlines, asked, judging }) => {
    group.clearLayers();
    const judged = judging ? asked[0] : null; // what the tray asks about
    for (const [found, weight] of [[shown[hovered], 3], [judged ?? shown[selected], 5]]) {
      if (!found) continue;
      L.polygon(path(ringOf(found, outlines)), {
        pane: 'lk-selected', color: '#fff', weight, fill: false, interactive: false,
      }).addTo(group);
    }
    if (!judged && shown[selected]) context.map?.reveal(shown[selected]);
  });
}

// The square that a click would take, at the pointer, with its width in metres.
export function drawWindow(L, map, { store }) {
  if (TOUCH) return () => {};
  const square = L.rectangle([[0, 0], [0, 0]], {
    pane: 'lk-query', color: QUERY, weight: 1.5, dashArray: '4 3', fill: false, interactive: false,
  });
  const label = h('output', { class: 'lk-window-size', hidden: true });
  map.getContainer().append(label);
  let at = null;
  const draw = () => {
    const { size, drawing } = store.state;
    const visible = at && size && !drawing && objectAt(store.state, at) < 0;
    label.hidden = !visible;
    if (!visible) return void square.remove();
    const dy = size / 2 / 111_195;
    const dx = dy / Math.max(Math.cos((at.lat * Math.PI) / 180), 0.01);
    square.setBounds([[at.lat - dy, at.lng - dx], [at.lat + dy, at.lng + dx]]).addTo(map);
    const corner = map.latLngToContainerPoint([at.lat - dy, at.lng + dx]);
    label.style.transform = `translate(${Math.round(corner.x) + 6}px, ${Math.round(corner.y) - 8}px)`;
    label.textContent = `${size >= 1000 ? `${size / 1000} km` : `${size} m`}`;
    return undefined;
  };
  const move = ({ latlng }) => {
    at = latlng;
    draw();
  };
  const out = () => {
    at = null;
    draw();
  };
  map.on('mousemove', move).on('mouseout', out).on('zoomend', draw);
  const stop = store.watch(['size', 'drawing', 'shown'], draw);
  return () => {
    stop();
    map.off('mousemove', move).off('mouseout', out).off('zoomend', draw);
    label.remove();
  };
}

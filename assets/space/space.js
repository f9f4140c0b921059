// The embedding space beside the map: colour by scene or by similarity; a lasso shows on the map.
import { readFootprints } from '../map/footprints.js';
import { count, h } from '../shared/dom.js';
import { expose } from '../shared/idle.js';
import { ask, createService, read } from '../shared/service.js';
import { createSpaceMap } from './map.js';
import { createStore } from '../shared/store.js';
import { viridis } from '../shared/ramp.js';

const SCENES = ['#3b9edd', '#e8a33d', '#35b184', '#c879b8', '#d8553f', '#8f9bb3', '#b8b13c'];
const MARGIN = 18;
const NEAR = 12; // pixels within which a click means a point
const STATE = {
  footprints: null,
  points: null, // Float32Array of row, x, y, scene
  lasso: [], // of points on the canvas
  shown: new Set(), // rows within it
  query: null, // { row } of the chip that was clicked
  like: null, // { row, scores } of every chip against it
  trouble: null,
};
const spaces = new WeakMap();

// Called at first and on every rerun; returns what to do when the element goes away.
export function mount({ data, parentElement }) {
  const root = parentElement.querySelector('.lk-space');
  const live = spaces.get(root);
  if (live && live.key === keyOf(data)) return live.stop;
  live?.stop();
  const space = start(root, data);
  spaces.set(root, space);
  return space.stop;
}

const keyOf = ({ collection }) => `${collection.name}:${collection.version}`;

function start(root, data) {
  const { name, version } = data.collection;
  const store = createStore(STATE);
  const api = `${location.origin}${data.base}/api/collections/${name}`;
  const service = createService(data.base, name);
  const tell = h('p', { class: 'lk-space-note', role: 'status' });
  root.querySelector('.lk-space-words').replaceChildren(tell);
  const canvas = root.querySelector('.lk-plot');
  const map = createSpaceMap({ root, store, data, paints, onPick });
  const stops = [
    drawPoints(canvas, store),
    store.watch(['shown', 'like', 'points', 'trouble'], (state) => (tell.textContent = words(state))),
    followLasso(canvas, store, choose, lookLike),
  ];
  load();

  async function load() {
    try {
      const floats = (path) => ask(`${api}/${path}`).then(read('arrayBuffer'));
      const [corners, points] = await Promise.all([
        service.footprints(version),
        floats(`space.f32?v=${version}`),
      ]);
      store.set({ footprints: readFootprints(corners), points: new Float32Array(points) });
      root.dataset.state = 'live';
    } catch (refusal) {
      store.set({ trouble: refusal });
    }
  }

  // What the lasso holds, on the map.
  function choose(rows) {
    store.set({ shown: new Set(rows) });
  }

  function onPick(lon, lat) {
    const row = nearestOf(store.state, lon, lat);
    if (row !== null) lookLike(row);
  }

  // Colours every point by its similarity to the chip of this row, or by scene again.
  async function lookLike(row) {
    if (row === null || store.state.like?.row === row) {
      return store.set({ like: null, query: null });
    }
    store.set({ query: { kind: 'chip', row } });
    try {
      const { centres } = store.state.footprints;
      const at = [centres[row * 2], centres[row * 2 + 1]];
      const answer = await ask(`${api}/scores`, {
        method: 'POST',
        headers: { 'Content-Type': 'application/json' },
        body: JSON.stringify({ at }),
      });
      const scores = new Float32Array(await read('arrayBuffer')(answer)); // of every row
      if (store.state.query?.row !== row) return undefined; // another was chosen meanwhile
      return store.set({ like: { row, scores } });
    } catch (refusal) {
      return store.set({ trouble: refusal, query: null });
    }
  }

  const stop = () => {
    for (const end of stops) end();
    map.stop();
    if (spaces.get(root)?.store === store) spaces.delete(root);
  };
  expose({ store, map });
  return { key: keyOf(data), store, stop };
}

// The colour of each chip on the map: of those in the lasso, or of all when one was clicked.
function paints({ shown, like, points }) {
  if (!points || (!shown.size && !like)) return () => null;
  const scene = new Map();
  for (let at = 0; at < points.length; at += 4) scene.set(points[at], points[at + 3]);
  const colour = colouring(like);
  return (row) =>
    scene.has(row) && (!shown.size || shown.has(row)) ? colour(row, scene.get(row)) : null;
}

function colouring(like) {
  if (!like) return (row, scene) => SCENES[scene % SCENES.length];
  const [low, high] = extent(like.scores); // the chip itself aside
  return (row) => viridis((like.scores[row] - low) / (high - low || 1));
}

function words({ shown, like, points, trouble }) {
  if (trouble) return `${trouble.message}. ${trouble.remedy || ''}`;
  if (!points) return 'Laying out the chips…';
  const total = count(points.length / 4);
  const colour = like ? ' Colour: similarity to the chip you chose.' : '';
  if (shown.size) return `${count(shown.size)} of ${total} chips are on the map.${colour}`;
  return like
    ? `Colour: similarity to the chip you chose. Click it again for the scenes’ colours.`
    : `${total} chips; near ones look alike. Draw a loop around some to see them on the map, or ` +
        'click one to colour the others by how similar they are.';
}

function nearestOf({ points, footprints }, lon, lat) {
  if (!points || !footprints) return null;
  let [best, least] = [null, Infinity];
  for (let at = 0; at < points.length; at += 4) {
    const row = points[at];
    const dx = (footprints.centres[row * 2] - lon) * Math.cos((lat * Math.PI) / 180);
    const far = dx * dx + (footprints.centres[row * 2 + 1] - lat) ** 2;
    if (far < least) [best, least] = [row, far];
  }
  return best;
}

function drawPoints(canvas, store) {
  let queued = false;
  const soon = () => {
    if (queued) return;
    queued = true;
    requestAnimationFrame(() => {
      queued = false;
      paint(canvas, store.state);
    });
  };
  const observer = new ResizeObserver(soon);
  observer.observe(canvas);
  const stop = store.watch(['points', 'shown', 'like', 'lasso', 'query'], soon);
  return () => {
    observer.disconnect();
    stop();
  };
}

function paint(canvas, { points, shown, like, lasso, query }) {
  const { clientWidth: width, clientHeight: height } = canvas;
  const sharp = Math.min(window.devicePixelRatio || 1, 2);
  canvas.width = width * sharp;
  canvas.height = height * sharp;
  const pen = canvas.getContext('2d');
  pen.scale(sharp, sharp);
  if (!points) return;
  const ink = getComputedStyle(canvas).color;
  const place = placing(width, height);
  const radius = points.length > 8000 ? 2 : 3.2;
  const colour = colouring(like);
  for (const front of [false, true]) {
    for (let at = 0; at < points.length; at += 4) {
      const row = points[at];
      const on = !shown.size || shown.has(row);
      if (on !== front) continue;
      const [x, y] = place(points[at + 1], points[at + 2]);
      pen.globalAlpha = on ? 0.9 : 0.22;
      pen.fillStyle = colour(row, points[at + 3]);
      pen.beginPath();
      pen.arc(x, y, radius, 0, 7);
      pen.fill();
      if (query?.row === row) ring(pen, x, y, ink);
    }
  }
  pen.globalAlpha = 1;
  if (lasso.length > 1) outline(pen, lasso, ink);
}

function ring(pen, x, y, ink) {
  pen.globalAlpha = 1;
  pen.strokeStyle = ink;
  pen.lineWidth = 2;
  pen.beginPath();
  pen.arc(x, y, 8, 0, 7);
  pen.stroke();
}

function outline(pen, lasso, ink) {
  pen.beginPath();
  lasso.forEach(([x, y], at) => (at ? pen.lineTo(x, y) : pen.moveTo(x, y)));
  pen.closePath();
  pen.fillStyle = 'rgb(34 211 238 / 0.14)';
  pen.fill();
  pen.strokeStyle = ink;
  pen.lineWidth = 1.5;
  pen.setLineDash([5, 4]);
  pen.stroke();
  pen.setLineDash([]);
}

function extent(values) {
  let [low, high] = [Infinity, -Infinity];
  for (const value of values) {
    if (value < 0.9999) high = Math.max(high, value);
    low = Math.min(low, value);
  }
  return [low, high];
}

const placing = (width, height) => (x, y) => [
  width / 2 + x * (width / 2 - MARGIN),
  height / 2 - y * (height / 2 - MARGIN),
];

// A drag is a lasso; a click is one point, or away from all points an end to the choice.
function followLasso(canvas, store, choose, lookLike) {
  let drawing = null;
  const spot = (event) => {
    const box = canvas.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  };
  const down = (event) => {
    drawing = [spot(event)];
    canvas.setPointerCapture(event.pointerId);
  };
  const move = (event) => {
    if (!drawing) return;
    drawing = [...drawing, spot(event)];
    store.set({ lasso: drawing });
  };
  const up = () => {
    if (!drawing) return;
    const path = drawing;
    drawing = null;
    if (reach(path) < 6) {
      store.set({ lasso: [] });
      const row = pointAt(canvas, store.state.points, path[0]);
      return row === null ? choose([]) : lookLike(row);
    }
    return choose(within(canvas, store.state.points, path));
  };
  const key = (event) => {
    if (event.key !== 'Escape') return;
    store.set({ lasso: [] });
    choose([]);
  };
  const listeners = { pointerdown: down, pointermove: move, pointerup: up, keydown: key };
  for (const [name, call] of Object.entries(listeners)) canvas.addEventListener(name, call);
  return () => {
    for (const [name, call] of Object.entries(listeners)) canvas.removeEventListener(name, call);
  };
}

function reach(path) {
  const [x, y] = path[0];
  return Math.max(...path.map(([a, b]) => Math.hypot(a - x, b - y)));
}

function pointAt(canvas, points, [x, y]) {
  const place = placing(canvas.clientWidth, canvas.clientHeight);
  let [best, least] = [null, NEAR];
  for (let at = 0; points && at < points.length; at += 4) {
    const [a, b] = place(points[at + 1], points[at + 2]);
    const far = Math.hypot(a - x, b - y);
    if (far < least) [best, least] = [points[at], far];
  }
  return best;
}

function within(canvas, points, path) {
  const place = placing(canvas.clientWidth, canvas.clientHeight);
  const rows = [];
  for (let at = 0; points && at < points.length; at += 4) {
    if (inside(path, ...place(points[at + 1], points[at + 2]))) rows.push(points[at]);
  }
  return rows;
}

function inside(path, x, y) {
  let odd = false;
  for (let i = 0, j = path.length - 1; i < path.length; j = i++) {
    const [xi, yi] = path[i];
    const [xj, yj] = path[j];
    if (yi > y !== yj > y && x < ((xj - xi) * (y - yi)) / (yj - yi) + xi) odd = !odd;
  }
  return odd;
}

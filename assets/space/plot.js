// The embedding space as points on a canvas, and the lasso that chooses some.
import { penOf } from '../shared/canvas.js';
import { pointColours } from './colours.js';

const MARGIN = 18;
const NEAR = 12; // pixels within which a click means a point

export function drawPoints(canvas, store) {
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
  const pen = penOf(canvas, width, height);
  if (!points) return;
  const ink = getComputedStyle(canvas).color;
  const place = placing(width, height);
  const radius = points.length > 8000 ? 2 : 3.2;
  const colour = pointColours(like);
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

const placing = (width, height) => (x, y) => [
  width / 2 + x * (width / 2 - MARGIN),
  height / 2 - y * (height / 2 - MARGIN),
];

// A drag is a lasso; a click is one point, or away from all points an end to the choice.
export function followLasso(canvas, store, choose, compareWith) {
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
    if (farthest(path) < 6) {
      store.set({ lasso: [] });
      const row = pointAt(canvas, store.state.points, path[0]);
      return row === null ? choose([]) : compareWith(row);
    }
    return choose(rowsInside(canvas, store.state.points, path));
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

function farthest(path) {
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

function rowsInside(canvas, points, path) {
  const place = placing(canvas.clientWidth, canvas.clientHeight);
  const rows = [];
  for (let at = 0; points && at < points.length; at += 4) {
    if (isInside(path, ...place(points[at + 1], points[at + 2]))) rows.push(points[at]);
  }
  return rows;
}

function isInside(path, x, y) {
  let odd = false;
  for (let i = 0, j = path.length - 1; i < path.length; j = i++) {
    const [xi, yi] = path[i];
    const [xj, yj] = path[j];
    if (yi > y !== yj > y && x < ((xj - xi) * (y - yi)) / (yj - yi) + xi) odd = !odd;
  }
  return odd;
}

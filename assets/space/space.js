// The embedding space beside the map: colour by scene or by similarity; a lasso shows on the map.
import { centre, readFootprints } from '../map/footprints.js';
import { h, TOUCH } from '../shared/dom.js';
import { formatCount } from '../shared/format.js';
import { expose } from '../shared/idle.js';
import { collectionKey, createMount } from '../shared/mount.js';
import { createService } from '../shared/service.js';
import { stopAll } from '../shared/stops.js';
import { createStore } from '../shared/store.js';
import { chipColours } from './colours.js';
import { createSpaceMap } from './map.js';
import { drawPoints, followLasso } from './plot.js';

const STATE = {
  footprints: null,
  points: null, // Float32Array of row, x, y, scene
  lasso: [], // of points on the canvas
  shown: new Set(), // rows within it
  query: null, // { row } of the chip that was clicked
  like: null, // { row, scores } of every chip against it
  problem: null,
};

export const mount = createMount('.lk-space', start, collectionKey);

function start(root, data) {
  const { name, version } = data.collection;
  const store = createStore(STATE);
  const service = createService(data.base, name);
  const status = h('p', { class: 'lk-space-note', role: 'status' });
  root.querySelector('.lk-space-words').replaceChildren(status);
  const canvas = root.querySelector('.lk-plot');
  const map = createSpaceMap({ root, store, data, colours: chipColours, onPick });
  const stops = [
    drawPoints(canvas, store),
    store.watch(['shown', 'like', 'points', 'problem'], (state) => (status.textContent = statusText(state))),
    followLasso(canvas, store, choose, compareWith),
  ];
  load();

  async function load() {
    try {
      const [corners, points] = await Promise.all([
        service.footprints(version),
        service.space(version),
      ]);
      store.set({ footprints: readFootprints(corners), points: new Float32Array(points) });
      root.dataset.state = 'live';
    } catch (refusal) {
      store.set({ problem: refusal });
    }
  }

  // What the lasso holds, on the map.
  function choose(rows) {
    store.set({ shown: new Set(rows), problem: null });
  }

  function onPick(lon, lat) {
    const row = nearestChip(store.state, lon, lat);
    if (row !== null) compareWith(row);
  }

  // Colours every point by its similarity to the chip of this row, or by scene again.
  async function compareWith(row) {
    if (row === null || store.state.like?.row === row) {
      return store.set({ like: null, query: null, problem: null });
    }
    store.set({ query: { kind: 'chip', row }, problem: null });
    try {
      const scores = new Float32Array(await service.scores(await recipeOf(row))); // of every row
      if (store.state.query?.row !== row) return undefined; // another was chosen meanwhile
      return store.set({ like: { row, scores } });
    } catch (refusal) {
      return store.set({ problem: refusal, query: null });
    }
  }

  // The chip of a row: at one place there may be one of each date.
  async function recipeOf(row) {
    const { points, footprints } = store.state;
    const { lon, lat } = centre(footprints, row);
    const day = data.collection.scenes[sceneOf(points, row)]?.datetime?.slice(0, 10);
    return day ? { chip: (await service.chipAt(lon, lat, day)).id } : { at: [lon, lat] };
  }

  expose({ store, map });
  return {
    stop() {
      stopAll(stops);
      map.stop();
    },
  };
}

function statusText({ shown, like, points, problem }) {
  if (problem) return `${problem.title ?? problem.message}. ${problem.remedy || ''}`;
  if (!points) return 'Loading the visual map…';
  const total = formatCount(points.length / 4);
  const colour = like ? ' Coloured by similarity to the selected chip.' : '';
  if (shown.size) return `${formatCount(shown.size)} of ${total} chips are shown on the map.${colour}`;
  return like
    ? `Coloured by similarity to the selected chip. ${TOUCH ? 'Tap' : 'Click'} it again to colour by scene.`
    : `${total} chips; similar ones are close together. Lasso some to show them on the map, or ` +
        `${TOUCH ? 'tap' : 'click'} one to colour the others by similarity.`;
}

function sceneOf(points, row) {
  for (let at = 0; at < points.length; at += 4) if (points[at] === row) return points[at + 3];
  return undefined;
}

function nearestChip({ points, footprints }, lon, lat) {
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

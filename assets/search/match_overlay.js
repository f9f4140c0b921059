// Where inside a result the match lies: what matches less is dimmed, softly, square by square.
import { queryKey, recipeOf } from '../shared/recipe.js';

const BATCH = 6; // chips a request: each costs the server a pass of the network
const NIGHT = [11, 18, 32];

export function showMatchOverlay(pane, list, { store, service, actions }) {
  let known = new Map(); // scores of its squares by chip id, of the query they belong to
  let owner = '';
  let asking = null;
  let observer = null;

  const overlays = () => [...list.querySelectorAll('.lk-card[data-chip]')];
  const inSight = (card) => {
    const [box, frame] = [card.getBoundingClientRect(), pane.getBoundingClientRect()];
    return box.bottom > frame.top && box.top < frame.bottom;
  };

  function refresh(state) {
    const name = state.query ? queryKey(state) : '';
    if (name !== owner) {
      asking?.abort();
      asking = null;
      [known, owner] = [new Map(), name];
    }
    observer?.disconnect();
    observer = null;
    for (const card of overlays()) show(card, state.inside && known.get(card.dataset.chip));
    if (!state.inside || !state.summary) return;
    observer = new IntersectionObserver(() => fetchNext(), { root: pane });
    for (const card of overlays()) observer.observe(card);
  }

  async function fetchNext() {
    const { state } = store;
    if (asking || !state.inside || !state.summary) return;
    const wanted = overlays()
      .filter((card) => inSight(card) && !known.has(card.dataset.chip))
      .slice(0, BATCH)
      .map((card) => card.dataset.chip);
    if (!wanted.length) return;
    const mine = (asking = new AbortController());
    try {
      const grids = await service.match(recipeOf(state), wanted, mine.signal);
      if (asking !== mine) return;
      for (const [chip, grid] of Object.entries(grids)) known.set(chip, grid.flat());
      for (const card of overlays()) show(card, state.inside && known.get(card.dataset.chip));
      asking = null;
      fetchNext();
    } catch (refusal) {
      if (asking !== mine) return;
      asking = null;
      if (state.inside) actions.toggle('inside');
      store.set({ problem: refusal });
    }
  }

  const stop = store.watch(['inside', 'shown', 'page', 'summary', 'query', 'good', 'bad'], refresh);
  return () => {
    stop();
    asking?.abort();
    observer?.disconnect();
  };
}

function show(card, scores) {
  const canvas = card.querySelector('.lk-inside');
  canvas.hidden = !scores;
  if (scores) paint(canvas, scores);
}

function paint(canvas, scores) {
  const [low, high] = [Math.min(...scores), Math.max(...scores)];
  const pen = canvas.getContext('2d');
  const image = pen.createImageData(8, 8);
  scores.forEach((value, k) => {
    const share = (value - low) / Math.max(high - low, 1e-6);
    image.data.set([...NIGHT, 215 * (1 - share) ** 1.2], k * 4);
  });
  pen.putImageData(image, 0, 0);
}

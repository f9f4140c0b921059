// The outlines of the objects at the minimum score: fetched once the slider rests.
import { later } from '../../shared/idle.js';

const REST = 150; // milliseconds

export const ringOf = (found, outlines) => (outlines.get(found.id) ?? found.geometry).coordinates[0];

export function followOutlines({ store, service }) {
  let asking = null;
  let cancel = () => {};

  async function fetchOutlines({ answer, objects, minScore }) {
    asking = new AbortController();
    const { signal } = asking;
    const above = objects.filter(({ score }) => score >= minScore);
    try {
      const shapes = await service.outlines(answer.score_map, minScore, above, signal);
      if (signal.aborted) return;
      store.set({ outlines: new Map(above.map(({ id }, k) => [id, shapes[k]]).filter(([, shape]) => shape)) });
    } catch {
      // The windows stay. What is wrong with the server, the next search tells.
    }
  }

  const stop = store.watch(['answer', 'minScore'], (state) => {
    cancel();
    asking?.abort();
    const { answer, minScore, outlines } = state;
    if (!answer?.score_map || !(minScore > 0 && minScore < 1)) {
      if (outlines.size) store.set({ outlines: new Map() });
      return;
    }
    cancel = later('outlines', REST, () => fetchOutlines(store.state));
  });
  return {
    stop() {
      stop();
      cancel();
      asking?.abort();
    },
  };
}

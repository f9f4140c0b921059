// A search that is waited for: how far it is, and how it is cancelled, on the server too.
import { h } from '../../shared/dom.js';

const FIRST = 600; // Milliseconds after which a search counts as long
const EVERY = 400;

const random = () => [...crypto.getRandomValues(new Uint8Array(12))].map((n) => n.toString(16).padStart(2, '0')).join('');

export function waitFor({ service, store }) {
  const id = random();
  let over = false;
  let timer = setTimeout(look, FIRST);

  async function look() {
    try {
      const step = await service.progress(id);
      if (!over) store.set({ waiting: step });
    } catch {
      // The answer to the search itself says what is wrong.
    }
    if (!over) timer = setTimeout(look, EVERY);
  }

  const waiting = {
    id,
    end() {
      if (over) return;
      over = true;
      clearTimeout(timer);
      store.set({ waiting: null });
    },
    cancel() {
      if (over) return;
      waiting.end();
      service.cancel(id).catch(() => {}); // the server then finishes for nobody
    },
  };
  return waiting;
}

// The part of the row above the map that shows it.
export function waitingBar(store, actions) {
  const bar = h('progress', { max: 1, 'aria-label': 'Progress of the search' });
  const cancel = h('button', { class: 'lk-button', type: 'button', onclick: actions.cancel }, 'Cancel');
  const shown = h('span', { class: 'lk-waiting', hidden: true }, bar, cancel);
  store.watch(['waiting'], ({ waiting }) => {
    shown.hidden = !waiting;
    if (waiting?.total) bar.value = waiting.done / waiting.total;
    else bar.removeAttribute('value');
  });
  return shown;
}

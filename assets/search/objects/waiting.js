// A search that is waited for: how far it is, and how it is cancelled, on the server too.
import { h } from '../../shared/dom.js';

const FIRST = 600; // Milliseconds after which a search counts as long
const EVERY = 400;

const random = () => [...crypto.getRandomValues(new Uint8Array(12))].map((n) => n.toString(16).padStart(2, '0')).join('');

export function waitFor({ service, store }) {
  const id = random();
  let over = false;
  let job = null; // that the search has become
  let timer = setTimeout(look, FIRST);

  async function look() {
    if (job) return;
    try {
      const step = await service.progress(id);
      if (!over && !job) store.set({ waiting: step });
    } catch {
      // The answer to the search itself says what is wrong.
    }
    if (!over && !job) timer = setTimeout(look, EVERY);
  }

  // Follows a long search, which the server runs as a job, until it has ended; null if this page no
  // longer waits for it.
  async function followed(found) {
    job = found;
    while (!over && ['queued', 'running', 'cancelling'].includes(job.state)) {
      store.set({ waiting: job });
      await new Promise((done) => setTimeout(done, EVERY));
      job = await service.job(job.id);
    }
    return over ? null : job;
  }

  const waiting = {
    id,
    followed,
    // A page that is left needs no answer; a job goes on.
    leave: () => (job ? waiting.end() : waiting.cancel()),
    end() {
      if (over) return;
      over = true;
      clearTimeout(timer);
      store.set({ waiting: null });
    },
    cancel() {
      if (over) return;
      waiting.end();
      if (job) {
        service.cancelJob(job.id).catch(() => {}); // it may have ended just now
        return;
      }
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

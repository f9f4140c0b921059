// What a person gave, on its way to the server: sent at once and in order, kept in the browser until the
// server has it, and sent again after a reload or an outage.
import { later } from './idle.js';

const AGAIN = 3000;

export const randomKey = () =>
  [...crypto.getRandomValues(new Uint8Array(8))].map((n) => n.toString(36).padStart(2, '0')).join('');

// Items, each with a `key` of its own, lie in the browser's storage under `name`.  `next(items)` chooses
// those to send together.  `post(group)` sends them, and throws where they shall be sent again; where it
// returns false they stay, and `next` leaves them out from then on.  `sent(group, answer)` hears that the
// server has them, `onLength` how many are kept.
export function createOutbox({ name, what, next = first, post, sent = () => {}, onLength = () => {} }) {
  let stopped = false;
  let cancel = () => {};
  let under = null; // what is being sent
  const items = () => JSON.parse(localStorage.getItem(name) || '[]');

  function keep(kept) {
    localStorage.setItem(name, JSON.stringify(kept));
    onLength(kept.length);
  }

  function send() {
    under ??= sendAll().finally(() => (under = null));
    return under;
  }

  async function sendAll() {
    cancel();
    try {
      for (let group = next(items()); group.length && !stopped; group = next(items())) {
        const answer = await post(group);
        if (answer === false) continue;
        const gone = new Set(group.map((item) => item.key));
        keep(items().filter((item) => !gone.has(item.key)));
        if (!stopped) sent(group, answer);
      }
    } catch {
      if (!stopped) cancel = later(what, AGAIN, send);
    }
  }

  return {
    items,
    send,
    add(more) {
      keep([...items(), ...more]);
      return send();
    },
    // Resolves once the server has everything, or has failed to take it.
    async flushed() {
      await under;
      if (next(items()).length) await send();
    },
    stop() {
      stopped = true;
      cancel();
    },
  };
}

const first = (items) => items.slice(0, 1);

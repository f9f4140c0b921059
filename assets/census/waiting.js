// A census or a round that is begun: how far it is, and how it is cancelled.
import { h } from '../shared/dom.js';
import { formatCount } from '../shared/format.js';
import { later } from '../shared/idle.js';
import { randomKey } from '../shared/outbox.js';

const EVERY = 400;

export function createWaiting(censuses) {
  const bar = h('progress', { max: 1, 'aria-label': 'Progress' });
  const words = h('span', { class: 'lk-muted', role: 'status' });
  const cancel = h('button', { class: 'lk-button', type: 'button' }, 'Cancel');
  const element = h('div', { class: 'lk-row lk-begun', hidden: true }, bar, words, cancel);
  let key = ''; // of what is begun
  let forget = () => {};

  function draw({ stage, done, total, unit }) {
    words.textContent = stage ? [stage, total ? `${formatCount(done)} of ${formatCount(total)} ${unit}` : ''].filter(Boolean).join(': ') : 'Starting';
    if (total) bar.value = done / total;
    else bar.removeAttribute('value');
  }

  function look(mine) {
    forget = later('the progress of a census', EVERY, async () => {
      try {
        const step = await censuses.progress(mine);
        if (key === mine) draw(step);
      } catch {
        // The answer to the request itself says what is wrong.
      }
      if (key === mine) look(mine);
    });
  }

  function end() {
    key = '';
    forget();
    element.hidden = true;
  }

  return {
    element,
    // Runs `act(key)`, which begins something under this key; null if it was cancelled.
    async run(act) {
      const mine = randomKey();
      key = mine;
      let cancelled = false;
      cancel.onclick = () => {
        cancelled = true;
        words.textContent = 'Cancelling';
        censuses.cancel(mine).catch(() => {}); // it may have ended just now
      };
      draw({ stage: '' });
      element.hidden = false;
      look(mine);
      try {
        return await act(mine);
      } catch (refusal) {
        if (cancelled && refusal.status === 409) return null;
        throw refusal;
      } finally {
        end();
      }
    },
    stop() {
      if (key) censuses.cancel(key).catch(() => {}); // a page that is left begins nothing
      end();
    },
  };
}

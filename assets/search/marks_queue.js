// Marks on their way to the server: sent at once and in order, kept in the browser until the server
// has them, and sent again after a reload or an outage.
import { later } from '../../shared/idle.js';

const AGAIN = 3000;
const key = (name) => `lookalike:unsent-marks:${name}`;
const setKey = (name) => `lookalike:mark-set:${name}`;

const random = () => [...crypto.getRandomValues(new Uint8Array(8))].map((n) => n.toString(36).padStart(2, '0')).join('');

export function createMarksQueue({ data, service, store }) {
  const { name } = data.collection;
  let set = localStorage.getItem(setKey(name));
  let used = false; // whether the set has marks
  let stopped = false;
  let cancel = () => {};
  const unsent = () => JSON.parse(localStorage.getItem(key(name)) || '[]');
  const keep = (marks) => {
    localStorage.setItem(key(name), JSON.stringify(marks));
    store.set({ unsent: marks.length });
  };

  // Sets whose marks the server does not take, such as those of a damaged file: they wait for a
  // reload, and do not hold up the marks of other sets.
  const refused = new Set();
  const due = () => unsent().filter((mark) => !refused.has(mark.set));

  let under = null; // what is being sent

  function send() {
    under ??= sendAll().finally(() => (under = null));
    return under;
  }

  async function sendAll() {
    if (stopped) return;
    try {
      for (let marks = due(); marks.length && !stopped; marks = due()) {
        const [group] = bySet(marks.slice(0, 200));
        await sendGroup(group);
      }
    } catch {
      if (!stopped) cancel = later('marks to be sent again', AGAIN, send);
    }
  }

  async function sendGroup(group) {
    try {
      await service.mark(group[0].set, group.map(({ set: _, ...mark }) => mark));
    } catch (problem) {
      if (!(problem.status >= 400 && problem.status < 500)) throw problem;
      refused.add(group[0].set);
      store.set({ problem });
      return;
    }
    const gone = new Set(group.map((mark) => mark.key));
    keep(unsent().filter((mark) => !gone.has(mark.key)));
  }

  return {
    id: () => set,
    // The set for a link; null while nothing is in it.
    linked: () => (used ? set : null),
    use(other) {
      set = other;
      used = true;
      localStorage.setItem(setKey(name), set);
    },
    fresh() {
      set = random();
      used = false;
      localStorage.setItem(setKey(name), set);
      return set;
    },
    // The id of a set that is not there yet.
    spare: random,
    add(mark) {
      if (!set) this.fresh();
      used = true;
      keep([...unsent(), { ...mark, set, key: random(), time: new Date().toISOString() }]);
      return send();
    },
    send,
    // Resolves once the server has every mark, or has failed to take them.
    async flushed() {
      await under;
      if (due().length) await send();
    },
    stop() {
      stopped = true;
      cancel();
    },
  };
}

// Marks in order, in groups of one set each.
function bySet(marks) {
  const groups = [];
  for (const mark of marks) {
    const last = groups.at(-1);
    if (last?.[0].set === mark.set) last.push(mark);
    else groups.push([mark]);
  }
  return groups;
}

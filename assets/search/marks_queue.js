// Marks on their way to the server: sent at once and in order, kept in the browser until the server
// has them, and sent again after a reload or an outage.
import { later } from '../shared/idle.js';

const AGAIN = 3000;
const keyOf = (name) => `lookalike:unsent-marks:${name}`;

const random = () => [...crypto.getRandomValues(new Uint8Array(8))].map((n) => n.toString(36).padStart(2, '0')).join('');

// `onMarks(set, answer)` hears what the server then has of a set, unless more is on its way.
export function createMarksQueue({ data, service, store, author, onMarks = () => {} }) {
  const { name } = data.collection;
  let set = null;
  let used = false; // whether the set has marks
  let stopped = false;
  let cancel = () => {};
  let given = []; // by this page, to go by another name if the author gives one
  const unsent = () => JSON.parse(localStorage.getItem(keyOf(name)) || '[]');
  const keep = (marks) => {
    localStorage.setItem(keyOf(name), JSON.stringify(marks));
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
    const to = group[0].set;
    let answer;
    try {
      answer = await service.mark(to, group.map(({ set: _, ...mark }) => mark));
    } catch (problem) {
      if (!(problem.status >= 400 && problem.status < 500)) throw problem;
      refused.add(to);
      store.set({ problem });
      return;
    }
    const gone = new Set(group.map((mark) => mark.key));
    keep(unsent().filter((mark) => !gone.has(mark.key)));
    if (!stopped && !unsentOf(to).length) onMarks(to, answer);
  }

  const unsentOf = (of) => unsent().filter((mark) => mark.set === of);

  function addTo(of, marks, by = author.name()) {
    const time = new Date().toISOString();
    const more = marks.map((mark) => ({ author: by, ...mark, set: of, key: random(), time }));
    given.push(...more);
    keep([...unsent(), ...more]);
    author.marked();
    return send();
  }

  return {
    id: () => set,
    // The set for a link; null while nothing is in it.
    linked: () => (used ? set : null),
    use(other) {
      set = other;
      used = true;
    },
    fresh() {
      set = random();
      used = false;
      return set;
    },
    // The id of a set that is not there yet.
    spare: random,
    add(mark) {
      if (!set) this.fresh();
      used = true;
      return addTo(set, [mark]);
    },
    addTo,
    unsentOf,
    send,
    // What this page gave by one name goes by another: the author was asked, or corrects it.
    rename(before, after) {
      const mine = given.filter((mark) => mark.author === before);
      given = given.filter((mark) => mark.author !== before);
      const again = (changes) => mine.map(({ key: _, time: __, ...mark }) => ({ ...mark, ...changes }));
      const marks = [...again({ label: '' }), ...again({ author: after })];
      for (const group of bySet(marks)) addTo(group[0].set, group);
      given = given.filter((mark) => mark.author !== before);
    },
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

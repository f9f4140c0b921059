// Marks on their way to the server: sent at once and in order, kept in the browser until the server
// has them, and sent again after a reload or an outage.
import { createOutbox, randomKey } from '../shared/outbox.js';

const MOST = 200; // marks of a request

// `onMarks(set, answer)` hears what the server then has of a set, unless more is on its way.
export function createMarksQueue({ data, service, store, author, onMarks = () => {} }) {
  const { name } = data.collection;
  let set = null;
  let used = false; // whether the set has marks
  let given = []; // by this page, to go by another name if the author gives one
  // Sets whose marks the server does not take, such as those of a damaged file: they wait for a
  // reload, and do not hold up the marks of other sets.
  const refused = new Set();
  const outbox = createOutbox({
    name: `lookalike:unsent-marks:${name}`,
    what: 'marks to be sent again',
    next: (marks) => bySet(marks.filter((mark) => !refused.has(mark.set)).slice(0, MOST))[0] ?? [],
    post,
    sent: ([{ set: to }], answer) => unsentOf(to).length || onMarks(to, answer),
    onLength: (unsent) => store.set({ unsent }),
  });

  async function post(group) {
    const to = group[0].set;
    try {
      return await service.mark(to, group.map(({ set: _, ...mark }) => mark));
    } catch (problem) {
      if (!(problem.status >= 400 && problem.status < 500)) throw problem;
      refused.add(to);
      store.set({ problem });
      return false;
    }
  }

  const unsentOf = (of) => outbox.items().filter((mark) => mark.set === of);

  function addTo(of, marks, by = author.name()) {
    const time = new Date().toISOString();
    const more = marks.map((mark) => ({ author: by, ...mark, set: of, key: randomKey(), time }));
    given.push(...more);
    author.marked();
    return outbox.add(more);
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
      set = randomKey();
      used = false;
      return set;
    },
    // The id of a set that is not there yet.
    spare: randomKey,
    add(mark) {
      if (!set) this.fresh();
      used = true;
      return addTo(set, [mark]);
    },
    addTo,
    unsentOf,
    send: outbox.send,
    // What this page gave by one name goes by another: the author was asked, or corrects it.
    rename(before, after) {
      const mine = given.filter((mark) => mark.author === before);
      given = given.filter((mark) => mark.author !== before);
      const again = (changes) => mine.map(({ key: _, time: __, ...mark }) => ({ ...mark, ...changes }));
      const marks = [...again({ label: '' }), ...again({ author: after })];
      for (const group of bySet(marks)) addTo(group[0].set, group);
      given = given.filter((mark) => mark.author !== before);
    },
    flushed: outbox.flushed,
    stop: outbox.stop,
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

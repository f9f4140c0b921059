// The units that a reviewer has in hand: asked for ahead, the first one first, and again after an outage.
import { later } from '../shared/idle.js';

const MOST = 6;
const FEW = 3; // of which so few bring more
const AGAIN = 3000;

// `begun()` is the id of the unit that a reload has interrupted.  `changed()` hears that another unit is
// the first, or that none is; `fail(problem)` what the server refuses.
export function createHand({ id, censuses, answers, author, begun, changed, fail }) {
  let units = [];
  let over = false; // the server has no more for this reviewer
  let reached = true; // whether the server could be reached
  let fetching = null;
  let stopped = false;
  let cancel = () => {};

  function more() {
    if (stopped || over || units.length > FEW || !author.known()) return;
    fetching ??= fetchMore().finally(() => (fetching = null));
  }

  async function fetchMore() {
    cancel();
    const reviewer = author.name();
    try {
      await answers.flushed(); // what the server does not have yet is in hand for it
      const handed = await next(reviewer);
      if (stopped || reviewer !== author.name()) return;
      reached = true;
      take(handed);
    } catch (problem) {
      if (!stopped) failed(problem);
    }
  }

  // Units taken back come after the others in hand: the one that was begun may be among them.
  async function next(reviewer) {
    const found = await censuses.next(id, reviewer, MOST);
    const wanted = !units.length && begun();
    if (!wanted || found.units.length < MOST || found.units.some((unit) => unit.id === wanted)) return found;
    return censuses.next(id, reviewer, 2 * MOST);
  }

  function take({ units: handed, done }) {
    const known = new Set([...units.map((unit) => unit.id), ...answers.unsent(id)]);
    const empty = !units.length;
    units = [...units, ...handed.filter((unit) => !known.has(unit.id))];
    over = done && !units.length;
    if (!empty) return;
    units.sort((a, b) => (b.id === begun()) - (a.id === begun()));
    changed();
  }

  function failed(problem) {
    const refused = problem.status >= 400 && problem.status < 500;
    if (refused) fail(problem);
    over = refused && !units.length;
    reached = refused;
    if (!refused) cancel = later('units to be asked for again', AGAIN, more);
    if (!units.length) changed();
  }

  return {
    more,
    first: () => units[0],
    ahead: () => units.slice(1),
    over: () => over,
    reached: () => reached,
    // The first leaves the hand, or goes behind the others.
    drop() {
      units = units.slice(1);
    },
    putOff() {
      units = [...units.slice(1), units[0]];
    },
    // A unit that was taken back comes first.
    takeUp(unit) {
      over = false;
      units = [unit, ...units.filter((other) => other.id !== unit.id)];
    },
    // Another reviewer begins.
    empty() {
      units = [];
      over = false;
    },
    stop() {
      stopped = true;
      cancel();
    },
  };
}

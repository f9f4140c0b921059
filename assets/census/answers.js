// Answers, undo and skip on their way to the server, of every census that this browser judges.
import { createOutbox, randomKey } from '../shared/outbox.js';

export function createAnswers(censuses) {
  const idle = { live: () => {}, refused: () => {}, length: () => {} };
  let listener = idle;
  const stuck = new Set(); // censuses that the server does not take answers of, until a reload
  const outbox = createOutbox({
    name: 'lookalike:unsent-answers',
    what: 'answers to be sent again',
    next: (items) => items.filter(({ census }) => !stuck.has(census)).slice(0, 1),
    post: ([item]) => send(item).catch((problem) => refuse(item, problem)),
    sent: ([item], answer) => listener.live(item, answer),
    onLength: (length) => listener.length(length),
  });

  function send({ kind, census, reviewer, unit, answer, seconds, key }) {
    if (kind === 'undo') return censuses.undo(census, reviewer, unit);
    if (kind === 'skip') return censuses.skip(census, reviewer, unit);
    const fields = { reviewer, answers: { [unit]: answer }, seconds: { [unit]: seconds }, key };
    return censuses.answer(census, fields);
  }

  // A refusal of this answer alone is told, and the answer dropped; another, such as of a deleted
  // collection, holds up the answers of its census, which are kept.
  function refuse(item, problem) {
    const { kind, census } = item;
    if (!(problem.status >= 400 && problem.status < 500)) throw problem;
    if (kind === 'undo' && problem.status === 404) return null; // it was taken back already
    listener.refused(item, problem);
    if ([400, 409].includes(problem.status)) return null;
    stuck.add(census);
    return false;
  }

  return {
    // `live(item, answer)` hears what the server says, `refused(item, problem)` what it does not take,
    // `length(number)` how much is not sent yet; returns how to stop.
    listen(to) {
      listener = { ...idle, ...to };
      listener.length(outbox.items().length);
      return () => (listener = idle);
    },
    add: (item) => outbox.add([{ ...item, key: randomKey() }]),
    // Ids of the units of a census whose answers are not sent yet.
    unsent: (census) => new Set(outbox.items().filter((item) => item.census === census).map(({ unit }) => unit)),
    flushed: outbox.flushed,
    send: outbox.send,
    stop: outbox.stop,
  };
}

// What was chosen and drawn on the Area page, kept in the browser: a reload begins a new session on
// the server, which then takes it in.

const MEMORY = 'lookalike:area';

const read = () => JSON.parse(sessionStorage.getItem(MEMORY) || 'null');
const write = (kept) => sessionStorage.setItem(MEMORY, JSON.stringify(kept));

// Called at every run.  What an older session left stays until this one has taken it in, or has
// begun with a collection's settings instead (`restores` is false then).  A shape stays until the
// server has heard of it: a run that began before it was drawn knows an older one.
export function keepDraft({ session, draft, restores }, messages) {
  const kept = read();
  if (!restores || !kept || kept.session === session) {
    const drawn = kept && messages.pending() === 'drawn';
    write({ session, draft: drawn ? { ...draft, shape: kept.draft.shape } : draft });
  } else if (!messages.pending()) messages.send('restore', { draft: kept.draft });
}

// What was just drawn is kept before the server has it: a reload may come first.
export function keepShape(shape) {
  const kept = read();
  if (kept) write({ ...kept, draft: { ...kept.draft, shape } });
}

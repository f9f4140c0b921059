// Review: one hit large beside its surroundings; good, bad or skip by key; undo.
import { backLink } from '../shared/back_link.js';
import { chanceWords } from '../shared/chance.js';
import { h } from '../shared/dom.js';
import { formatCount, formatDay, formatPlace, formatScore } from '../shared/format.js';
import { keyButton } from '../shared/keys.js';
import { hitFigures, listenToVerdicts, queryFigure, verdicts } from './judging.js';

const AHEAD = 3; // pictures fetched before they are wanted

export async function showReview({ root, body, saved, go, fail, asked, current, author, onName }) {
  const search = await saved.open(asked);
  if (!current()) return undefined;
  const here = { collection: search.collection, search: search.id };
  const { hits } = search;
  let { marks, notes } = search;
  const authors = Object.fromEntries(search.judgements.map(({ id, author: by }) => [id, by]));
  let order = orderOf('rank');
  let at = first();
  let sending = Promise.resolve(); // one mark after the other, in the order they were given
  const given = []; // hits marked in this sitting, to undo

  const bar = h('div', { class: 'lk-bar-done' });
  const status = h('p', { role: 'status', class: 'lk-muted' });
  const stage = h('div', { class: 'lk-stage' });
  // What was marked here goes by the name that the reviewer gives.
  onName((before, after) => {
    for (const { id } of new Set(given.map(({ hit }) => hit))) {
      send(id, null, before);
      send(id, marks[id] ?? null, after);
      authors[id] = after;
    }
    draw();
  });
  const how = h(
    'select',
    { 'aria-label': 'Order' },
    h('option', { value: 'rank' }, 'Best first'),
    h('option', { value: 'worst' }, 'Worst first'),
  );
  how.addEventListener('change', () => {
    order = orderOf(how.value);
    at = first();
    draw();
    how.blur();
  });
  const leave = () => sending.then(() => current() && go(here)); // what was marked must count there
  body.replaceChildren(
    h(
      'div',
      { class: 'lk-review' },
      h(
        'header',
        { class: 'lk-review-head' },
        backLink(search.name, leave),
        h('span', { class: 'lk-bar-all', 'aria-hidden': true }, bar),
        status,
        h('label', { class: 'lk-field' }, h('span', { class: 'lk-wide' }, 'Order'), how),
      ),
      stage,
    ),
  );
  draw();
  const forget = listenToVerdicts(root, mark, {
    u: undo,
    Backspace: undo,
    ArrowRight: () => step(1),
    ArrowLeft: () => step(-1),
    Escape: leave,
  });
  return () => {
    forget();
    onName(() => {});
  };

  function orderOf(name) {
    const ranks = hits.map((_, rank) => rank);
    return name === 'rank' ? ranks : ranks.reverse();
  }

  // Where to begin: the hit asked for, else the first without a mark.
  function first() {
    const wanted = asked.from ? hits.findIndex(({ id }) => id === asked.from) : -1;
    if (wanted >= 0) {
      asked.from = '';
      return order.indexOf(wanted);
    }
    const open = order.findIndex((rank) => !marks[hits[rank].id]);
    return open < 0 ? order.length : open;
  }

  function next() {
    const later = order.findIndex((rank, turn) => turn > at && !marks[hits[rank].id]);
    if (later >= 0) return later;
    return order.every((rank) => marks[hits[rank].id]) ? order.length : first();
  }

  function mark(kind) {
    const hit = hits[order[at]];
    if (!hit) return;
    const before = marks[hit.id] ?? null;
    given.push({ hit, before, at, by: authors[hit.id] });
    put(hit, kind);
    at = next();
    draw();
  }

  function undo() {
    const last = given.pop();
    if (!last) return;
    put(last.hit, last.before, last.by);
    at = last.at;
    draw();
  }

  // Shows the mark at once and sends it in the background; an error restores the old one.
  function put(hit, kind, by = author.name()) {
    const before = marks[hit.id];
    authors[hit.id] = by;
    marks = { ...marks };
    if (kind) marks[hit.id] = kind;
    else delete marks[hit.id];
    author.marked();
    // Nobody speaks for another: where the mark before was another's, one's own is taken back.
    send(hit.id, author.owns(by) ? kind : null, author.name(), () => {
      if (before) marks[hit.id] = before;
      else delete marks[hit.id];
      draw();
    });
  }

  function send(id, kind, by, restore = () => {}) {
    sending = sending.then(async () => {
      try {
        await saved.mark(search, id, { mark: kind, author: by });
      } catch (refusal) {
        restore();
        fail(refusal);
      }
    });
  }

  function step(by) {
    at = Math.max(0, Math.min(order.length - 1, at + by));
    draw();
  }

  function draw() {
    const kinds = Object.values(marks);
    const counted = (kind) => kinds.filter((other) => other === kind).length;
    bar.style.width = `${hits.length ? (100 * kinds.length) / hits.length : 100}%`;
    status.textContent =
      `${formatCount(kinds.length)} of ${formatCount(hits.length)} · ` +
      `${formatCount(counted('good'))} good, ${formatCount(counted('bad'))} bad`;
    stage.replaceChildren(...(at < order.length ? [pictures(), panel()] : [done()]));
    for (const rank of order.slice(at + 1, at + 1 + AHEAD)) preload(hits[rank]);
  }

  function preload({ id }) {
    new Image().src = saved.chip(search, id, 512);
    new Image().src = saved.chip(search, id, 512, 3);
  }

  function pictures() {
    const hit = hits[order[at]];
    const kind = marks[hit.id];
    return h(
      'div',
      { class: `lk-pictures ${kind ? `lk-is-${kind}` : ''}` },
      ...hitFigures(saved.chip(search, hit.id, 512), saved.chip(search, hit.id, 512, 3), `Hit ${hit.rank}`),
      search.picture ? queryFigure(saved.picture(search)) : null,
    );
  }

  function panel() {
    const hit = hits[order[at]];
    const note = h('textarea', {
      class: 'lk-note-field',
      rows: 2,
      placeholder: 'Note on this hit',
      'aria-label': 'Note on this hit',
    });
    note.value = notes[hit.id] || '';
    note.addEventListener('change', async () => {
      notes = { ...notes, [hit.id]: note.value };
      await saved.mark(search, hit.id, { note: note.value }).catch(fail);
    });
    return h(
      'aside',
      { class: 'lk-panel lk-judge' },
      h('div', {}, h('h2', {}, 'Is this a match?'), h('p', { class: 'lk-muted' }, facts(hit))),
      verdicts(mark, { pressed: marks[hit.id] }),
      h(
        'div',
        { class: 'lk-row lk-moves' },
        keyButton('undo', 'Undo', 'U', undo, !given.length),
        keyButton('back', 'Previous', '←', () => step(-1), at === 0),
      ),
      note,
      author.button(),
    );
  }

  function done() {
    return h(
      'section',
      { class: 'lk-blank' },
      h('h2', {}, hits.length ? 'All reviewed' : 'Nothing to review'),
      h('p', {}, 'Marks sort what is exported. How many hits are right, a check estimates.'),
      h(
        'div',
        { class: 'lk-row' },
        h('button', { class: 'lk-button lk-primary', type: 'button', onclick: leave }, 'View and export'),
        given.length ? keyButton('undo', 'Undo', 'U', undo, false) : null,
        hits.length ? keyButton('back', 'Review again', '', () => ((at = 0), draw()), false) : null,
      ),
    );
  }
}

const facts = (hit) =>
  [`score ${formatScore(hit.score)}`, chanceWords(hit.by_chance), formatPlace(hit.lon, hit.lat), formatDay(hit.datetime)].filter(Boolean).join(' · ');

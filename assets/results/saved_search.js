// One saved search: what it was, what it found, how far to trust it, and the way out as files.
import { byWhom } from '../shared/author.js';
import { backLink } from '../shared/back_link.js';
import { chanceSentence } from '../shared/chance.js';
import { h, icon } from '../shared/dom.js';
import { download } from '../shared/download.js';
import { formatCount, formatDay, formatPlace, formatScore, plural } from '../shared/format.js';
import { later } from '../shared/idle.js';
import { missingHits } from '../shared/missing_hits.js';
import { chipPicture } from '../shared/pictures.js';
import { rankColour, rankMark } from '../shared/ranks.js';
import { censusPage, keyOf } from './saved_searches.js';
import { createTrust } from './trust.js';

const MARKS = { good: 'Good', bad: 'Bad', skip: 'Skipped' };

export async function showSearch({ body, data, saved, go, fail, asked, current, address }) {
  const [search, { searches }] = await Promise.all([saved.open(asked), saved.all()]);
  if (!current()) return undefined;
  const here = { collection: search.collection, search: search.id };
  const { check } = search;
  let minScore = check.estimates.at(-1)?.threshold ?? 0;
  let hidden = asked.hide; // whether marked hits are
  const authors = new Map(search.judgements.map(({ id, author }) => [id, author])); // of the last marks
  const isBelow = ({ id, score }) => score < minScore - 1e-9 && search.marks[id] !== 'good';

  const trust = createTrust({
    check,
    marks: ownMarks(search),
    about: 'Hits below this score are excluded from exports, unless they are marked good.',
    cut,
    begin: toCheck,
    remove: removeCheck,
  });
  const grid = h('ol', { class: 'lk-hits', 'aria-label': 'Hits, best first' });
  const counted = h('p', { class: 'lk-muted', role: 'status' });
  const hide = h('button', { class: 'lk-button lk-toggle', type: 'button', title: 'Leave marked hits out of the list', onclick: hideMarked }, 'Hide marked');
  hide.hidden = !Object.keys(search.marks).length;
  const files = exportPanel({ data, saved, search, fail, minScore: () => minScore });
  body.replaceChildren(
    header({ search, saved, go, fail, here, data, searches, toCheck }),
    h(
      'div',
      { class: 'lk-columns' },
      h('div', { class: 'lk-side' }, trust.element, files.element),
      h('div', { class: 'lk-main' }, ...warnings(search), h('div', { class: 'lk-row' }, counted, h('span', { class: 'lk-push' }), hide), grid),
    ),
  );
  drawHits();
  files.update();

  function toCheck() {
    go({ ...here, view: 'check' });
  }

  async function removeCheck() {
    try {
      await saved.removeCheck(asked);
      if (current()) go(here);
    } catch (refusal) {
      fail(refusal);
    }
  }

  function cut(threshold) {
    minScore = threshold;
    markHits();
  }

  function drawHits() {
    grid.replaceChildren(...search.hits.map(card));
    markHits();
  }

  function markHits() {
    hide.setAttribute('aria-pressed', String(hidden));
    const kept = search.hits.filter((hit) => !isBelow(hit));
    const all = kept.length === search.hits.length;
    counted.textContent = all
      ? `${plural(search.hits.length, 'hit')} out of ${formatCount(search.eligible)} chips`
      : `${formatCount(kept.length)} of ${formatCount(search.hits.length)} hits at or above ${formatScore(minScore)}`;
    [...grid.children].forEach((item, at) => {
      item.classList.toggle('lk-below', isBelow(search.hits[at]));
      item.hidden = hidden && Boolean(search.marks[search.hits[at].id]);
    });
  }

  function hideMarked() {
    hidden = !hidden;
    history.replaceState(history.state, '', address({ ...here, ...(hidden ? { hide: 1 } : {}) }));
    markHits();
  }

  function card(hit, at) {
    const mark = search.marks[hit.id];
    const words = `Hit ${hit.rank}, similarity ${formatScore(hit.score)}, at ${formatPlace(hit.lon, hit.lat)}`;
    const open = () => go({ ...here, view: 'review', from: hit.id });
    return h(
      'li',
      { class: `lk-hit ${mark ? `lk-is-${mark}` : ''}` },
      h(
        'button',
        {
          class: 'lk-pick',
          type: 'button',
          title: 'Review from here',
          'aria-label': mark ? `${words}, ${byWhom(MARKS[mark], authors.get(hit.id))}` : words,
          onclick: open,
        },
        chipPicture(saved.chip(search, hit.id, 256), { eager: at < 24 }),
        rankMark(hit.rank, rankColour(hit.rank, search.hits.length)),
        h('span', { class: 'lk-score', title: chanceSentence(hit.by_chance) }, formatScore(hit.score)),
        mark ? h('span', { class: 'lk-mark', title: byWhom(MARKS[mark], authors.get(hit.id)) }, icon(mark)) : null,
      ),
      search.notes[hit.id] ? h('p', { class: 'lk-one-line' }, search.notes[hit.id]) : null,
    );
  }
  return undefined;
}

// How many marks come from searching and reviewing, and not from the check.
const ownMarks = ({ marks, check }) =>
  Object.entries(marks).filter(([id, mark]) => mark !== 'skip' && !(id in check.marks)).length;

function header({ search, saved, go, fail, here, data, searches, toCheck }) {
  const name = h('input', {
    class: 'lk-title',
    value: search.name,
    maxlength: 120,
    'aria-label': 'Search name',
    spellcheck: 'false',
  });
  name.addEventListener('keydown', (event) => event.key === 'Enter' && name.blur());
  name.addEventListener('change', () => {
    if (!name.value.trim()) name.value = search.name;
    else keep({ name: name.value });
  });
  const note = h('textarea', {
    class: 'lk-note-field',
    placeholder: 'Notes',
    'aria-label': 'Notes',
    maxlength: 10000,
    rows: 2,
  });
  note.value = search.note;
  note.addEventListener('change', () => keep({ note: note.value }));
  const kept = h('span', { class: 'lk-muted', role: 'status' });

  async function keep(fields) {
    try {
      Object.assign(search, await saved.change(search, fields), { hits: search.hits });
      kept.textContent = 'Saved';
      later('label reset', 1500, () => (kept.textContent = ''));
    } catch (refusal) {
      fail(refusal);
    }
  }

  const others = searches.filter((other) => keyOf(other) !== keyOf(search));
  return h(
    'header',
    { class: 'lk-search-head' },
    backLink('All results', () => go({})),
    search.picture
      ? h('img', { class: 'lk-query-picture', src: saved.picture(search), alt: 'Query' })
      : h('span', { class: 'lk-query-picture lk-skeleton' }),
    h(
      'div',
      { class: 'lk-search-words' },
      h('div', { class: 'lk-row' }, name, kept),
      h('p', { class: 'lk-muted' }, describeSearch(search)),
      note,
    ),
    h(
      'div',
      { class: 'lk-actions' },
      h(
        'button',
        {
          class: 'lk-button lk-primary',
          type: 'button',
          disabled: !search.hits.length,
          title: 'Judge hits drawn at random, to know how many are right',
          onclick: toCheck,
        },
        'Check',
      ),
      h(
        'button',
        {
          class: 'lk-button',
          type: 'button',
          disabled: !search.hits.length,
          title: 'Mark the hits one by one, to sort what is exported',
          onclick: () => go({ ...here, view: 'review' }),
        },
        'Review',
      ),
      h('a', { class: 'lk-button', href: mapLink(search, data), target: '_self' }, 'Open on the map'),
      h('a', { class: 'lk-button', href: censusPage(data.base, search), target: '_self' }, 'Start a census'),
      others.length ? compareChoice(others, go, here) : null,
    ),
  );
}

function describeSearch({ collection_title: title, query, created, parameters }) {
  const words = {
    k: (value) => `${value} results`,
    suppress: (value) => (value ? 'overlaps hidden' : 'overlaps shown'),
    threshold: (value) => `minimum score ${formatScore(value)}`,
    within: () => 'within a polygon',
    scenes: (value) => plural(value.length, 'scene'),
    since: (value) => `since ${value}`,
    until: (value) => `until ${value}`,
    max_nodata: (value) => `max. ${value}% no-data`,
    min_sharpness: (value) => `min. sharpness ${value}`,
    away: (value) => `at least ${value} m from the query`,
    any_orientation: () => 'any orientation',
    any_scale: () => 'any scale',
  };
  const asked = Object.entries(parameters).map(([key, value]) => words[key]?.(value));
  return [title, `similar to ${query}`, ...asked, `saved ${formatDay(created)}`].filter(Boolean).join(' · ');
}

// The Search page with this search, its hits as they were.
function mapLink({ collection, id }, { base }) {
  return `${location.origin}${base}/search?${new URLSearchParams({ collection, saved: id })}`;
}

function compareChoice(others, go, here) {
  const pick = h(
    'select',
    { 'aria-label': 'Compare with another search' },
    h('option', { value: '' }, 'Compare with…'),
    ...others.map((other) =>
      h('option', { value: keyOf(other) }, other.name),
    ),
  );
  pick.addEventListener('change', () => pick.value && go({ ...here, with: pick.value }));
  return h('label', { class: 'lk-field' }, pick);
}

function warnings({ changed, missing, hits }) {
  const lines = [];
  if (missing.length) lines.push(missingHits(missing.length));
  if (changed) {
    lines.push(
      'The collection has changed since. These are the original hits; search again on the map to ' +
        'see what is new.',
    );
  }
  if (!hits.length && !missing.length) lines.push('This search found no hits.');
  return lines.map((line) => h('p', { class: 'lk-aside' }, line));
}

// Files: what to write, which of it, and one button a format.
function exportPanel({ data, saved, search, fail, minScore }) {
  const what = choice('Features', [
    ['sites', 'Sites', 'Overlapping hits merged into one site'],
    ['hits', 'Hits', 'One outline per chip'],
  ]);
  const which = choice('Marks', [
    ['', 'All', 'All at or above the minimum score'],
    ['good,none,skip', 'Not bad', 'Excludes hits marked bad'],
    ['good', 'Good', 'Only hits marked good'],
  ]);
  const status = h('p', { class: 'lk-muted', role: 'status' });
  const buttons = data.formats.map((format) => {
    const about = h('span', { class: 'lk-muted' }, format.opens_in);
    const onclick = ({ currentTarget }) => write(format, currentTarget, about);
    return h(
      'button',
      { class: 'lk-file', type: 'button', onclick },
      icon('download'),
      h('span', {}, h('strong', {}, format.title), about),
    );
  });

  // The first of a kind takes seconds: the button that was pressed says so, and none takes a second
  // press.
  async function write(format, pressed, about) {
    about.textContent = 'Writing…';
    pressed.setAttribute('aria-busy', 'true');
    status.textContent = `Writing ${format.title}…`;
    for (const button of buttons) button.disabled = true;
    try {
      const fields = { format: format.name, what: what.value(), min: minScore() - 1e-6 };
      if (which.value()) fields.marks = which.value();
      const { file, name } = await saved.export(search, fields);
      download(file, name);
      status.textContent = `Downloaded ${name}.`;
    } catch (refusal) {
      status.textContent = '';
      fail(refusal);
    } finally {
      about.textContent = format.opens_in;
      pressed.removeAttribute('aria-busy');
      for (const button of buttons) button.disabled = false;
    }
  }

  const element = h(
    'section',
    { class: 'lk-panel' },
    h('h2', {}, 'Export'),
    what.element,
    which.element,
    h('div', { class: 'lk-files' }, ...buttons),
    status,
  );
  const update = () => {
    const marked = Object.values(search.marks).filter((mark) => mark !== 'skip').length;
    which.element.hidden = !marked;
  };
  return { element, update };
}

let groups = 0;

function choice(legend, options) {
  const group = `lk-choice-${++groups}`;
  const inputs = options.map(([value], at) =>
    h('input', { type: 'radio', name: group, value, checked: at === 0 }),
  );
  const element = h(
    'fieldset',
    { class: 'lk-choice' },
    h('legend', { class: 'lk-offscreen' }, legend),
    ...options.map(([, words, title], at) => h('label', { title }, inputs[at], h('span', {}, words))),
  );
  return { element, value: () => inputs.find((input) => input.checked).value };
}

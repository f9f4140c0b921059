// Over the results: how many, how they are shown, and what the marks are for.
import { h, icon, iconButton } from '../shared/dom.js';
import { formatCount, formatScore, plural } from '../shared/format.js';
import { isMarked, isRefinable } from './marks.js';

const KEYS = [
  'query', 'summary', 'shown', 'hits', 'minScore', 'marks', 'good', 'bad', 'past', 'merged', 'sites', 'inside',
  'hideMarked', 'author', 'unsent', 'gone',
];

export function createRefineBar(bar, { store, actions, author }) {
  const said = h('p', { class: 'lk-summary', role: 'status' });
  const sites = toggle('sites', 'Sites', 'Merge overlapping results into sites (M)', () =>
    actions.merge(!store.state.merged),
  );
  const inside = toggle('inside', 'Highlight', 'Highlight the match inside each result (I)', () =>
    actions.toggle('inside'),
  );
  const marked = h('span', { class: 'lk-marked', role: 'status' });
  const who = h('span', { class: 'lk-who' });
  const hide = iconButton('hide', 'Hide marked', () => actions.toggle('hideMarked'), {
    class: 'lk-button lk-toggle lk-hide',
    title: 'Hide marked results in list and map',
  });
  const told = h('p', { class: 'lk-muted lk-told', role: 'status' });
  const refine = h(
    'button',
    { class: 'lk-button lk-primary', type: 'button', title: 'Search again, towards good and away from bad results (R)', onclick: actions.refine },
    'Refine',
  );
  const undo = iconButton('undo', 'Undo', actions.undo, { title: 'Undo (U)' });
  inside.setAttribute('aria-label', 'Highlight match'); // which has no room on a phone
  bar.replaceChildren(
    h('div', { class: 'lk-row' }, said, h('span', { class: 'lk-push' }), sites, inside),
    h('div', { class: 'lk-row lk-verdict-row' }, marked, who, h('span', { class: 'lk-push' }), hide, undo, refine),
    told,
  );
  return store.watch(KEYS, (state) => {
    bar.hidden = !state.query && !state.past.length;
    said.textContent = state.query && state.summary ? summary(state) : '';
    marked.textContent = tally(state);
    for (const tool of [sites, inside, refine]) tool.hidden = !state.query; // undo stays
    sites.setAttribute('aria-pressed', state.merged);
    inside.setAttribute('aria-pressed', state.inside);
    hide.hidden = !(state.query && (isMarked(state) || state.hideMarked));
    hide.setAttribute('aria-pressed', state.hideMarked);
    who.replaceChildren(...(state.query && isMarked(state) ? [author.button()] : []));
    const lost = state.gone.length ? [goneMarks(state.gone.length)] : [];
    const none = state.query && state.summary && !state.hits.length && !state.sites ? ['No result: what else there is overlaps the example, or the filters leave it out.'] : [];
    told.textContent = [...lost, ...((state.query && state.summary?.notes) || []), ...none].join(' ');
    refine.disabled = !isRefinable(state);
    undo.disabled = !state.past.length;
  });
}

function toggle(name, words, title, onclick) {
  const look = { class: 'lk-button lk-toggle', type: 'button', title, 'aria-pressed': 'false' };
  return h('button', { ...look, onclick }, icon(name), words);
}

function summary({ summary: { eligible, seconds }, shown, hits, minScore, marks, sites, hideMarked }) {
  const hidden = hideMarked ? hits.filter(({ id }) => marks[id]).length : 0;
  const aside = hidden ? ` · ${formatCount(hidden)} marked hidden` : '';
  if (seconds === null) return `${formatCount(shown.length)} of ${formatCount(eligible)} chips, as saved${aside}`;
  const time = seconds < 1 ? `${Math.max(1, Math.round(seconds * 1000))} ms` : `${seconds.toFixed(1)} s`;
  if (sites) return `${plural(shown.length, 'site')}${aside} · ${time}`;
  const cut = hits.length - shown.length - hidden;
  const below = cut ? ` · ${formatCount(cut)} below ${formatScore(minScore)}` : '';
  return `${formatCount(shown.length)} of ${formatCount(eligible)} chips${below}${aside} · ${time}`;
}

function goneMarks(count) {
  const chips = count === 1 ? '1 mark is on a chip that is' : `${formatCount(count)} marks are on chips that are`;
  return `${chips} no longer in the collection. Everything else is used; the marks are kept.`;
}

function tally({ marks, query, unsent }) {
  if (!query) return '';
  if (unsent) return `${plural(unsent, 'mark')} not sent yet`;
  const kinds = Object.values(marks);
  const good = kinds.filter((kind) => kind === 'good').length;
  const bad = kinds.length - good;
  if (!kinds.length) return 'Mark good or bad results, then Refine';
  return [good && `${good} good`, bad && `${bad} bad`].filter(Boolean).join(' · ');
}

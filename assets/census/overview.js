// One census: what it says, where its units lie, its certificate, and a new round.
import { backLink } from '../shared/back_link.js';
import { h } from '../shared/dom.js';
import { plural } from '../shared/format.js';
import { createLive } from './live.js';
import { createUnitsMap } from './map.js';
import { soughtChoice } from './sought.js';
import { createWaiting } from './waiting.js';
import { imageryOf } from './words.js';

const FILES = [
  ['certificate.json', 'JSON', 'All data, and every judgement with its author'],
  ['points.geojson', 'Points', 'Each thing that was clicked, and each count at the middle of its unit, as GeoJSON'],
  ['certificate.zip', 'Everything', 'Certificate, JSON and points, zipped'],
];

export async function showCensus({ body, data, censuses, go, fail, asked: { id }, current }) {
  const [census, report] = await Promise.all([censuses.get(id), censuses.report(id)]);
  if (!current()) return undefined;
  const live = createLive({ onError: (error) => change({ error }) });
  live.show(report);
  const waiting = createWaiting(censuses);
  const map = createUnitsMap({ data, census, censuses, fail });
  const all = report.judged >= report.units;
  const judge = h(
    'button',
    { class: 'lk-button lk-primary', type: 'button', onclick: () => go({ census: id, view: 'judge' }) },
    census.judged ? 'Continue judging' : 'Judge',
  );
  body.replaceChildren(
    h('header', { class: 'lk-census-head' }, backLink('All censuses', () => go({})), titleField(), h('p', { class: 'lk-muted' }, facts(census)), h('div', { class: 'lk-row' }, judge)),
    h(
      'div',
      { class: 'lk-columns' },
      h('div', { class: 'lk-side' }, live.element, exportPanel(), roundPanel()),
      h('div', { class: 'lk-main' }, map.element),
    ),
  );
  return () => {
    waiting.stop();
    map.stop();
  };

  async function change(fields) {
    try {
      await censuses.change(id, fields);
      live.show(await censuses.report(id));
    } catch (refusal) {
      fail(refusal);
    }
  }

  function titleField() {
    const field = h('input', { class: 'lk-title', type: 'text', maxlength: 200, value: census.title, 'aria-label': 'Name of the census' });
    field.addEventListener('change', () => {
      const title = field.value.trim();
      if (title) change({ title });
      else field.value = field.defaultValue;
    });
    field.addEventListener('keydown', ({ key }) => key === 'Enter' && field.blur());
    return field;
  }

  function exportPanel() {
    const link = (kind, words, title, attributes) => h('a', { class: 'lk-button', href: censuses.file(id, kind), title, ...attributes }, words);
    return h(
      'section',
      { class: 'lk-panel' },
      h('h2', {}, 'Certificate'),
      h('p', { class: 'lk-muted' }, 'Area, imagery, design, every judgement with its author, totals, and the command that recomputes them.'),
      h(
        'div',
        { class: 'lk-row' },
        link('certificate.html', 'Open to print', 'One page, in a new tab', { target: '_blank', rel: 'noopener' }),
        ...FILES.map(([kind, words, title]) => link(kind, words, title, { download: `census-${id}-${kind}` })),
      ),
    );
  }

  // A round with a better detector: asked for only when it is wanted.
  function roundPanel() {
    const place = h('div', {});
    const panel = h(
      'details',
      { class: 'lk-panel lk-round' },
      h('summary', {}, 'New round with a better detector'),
      h('p', { class: 'lk-muted' }, 'The new round draws from the units that nobody has judged yet. Earlier judgements stay, and both rounds count.'),
      place,
      waiting.element,
    );
    panel.addEventListener('toggle', () => panel.open && !place.children.length && offer(place));
    return panel;
  }

  async function offer(place) {
    try {
      const sought = await soughtChoice(censuses, census.collection);
      const begin = h('button', { class: 'lk-button', type: 'submit', disabled: sought.empty || all }, 'Start round');
      const form = h('form', { class: 'lk-row lk-field' }, sought.empty ? 'There is no detector or saved search for a new round.' : sought.select, begin);
      sought.select.setAttribute('aria-label', 'Detector or saved search');
      form.addEventListener('submit', async (event) => {
        event.preventDefault();
        begin.disabled = true;
        try {
          const made = await waiting.run((progress) => censuses.round(id, { ...sought.fields(), floor: census.floor, progress }));
          if (made && current()) go({ census: id, view: 'judge' });
        } catch (refusal) {
          fail(refusal);
        } finally {
          begin.disabled = false;
        }
      });
      place.replaceChildren(form);
    } catch (refusal) {
      fail(refusal);
    }
  }
}

function facts({ collection_title: collection, date, units, unit, unit_m: metres, area_km2: area, double, reviewers, rounds }) {
  return [
    collection,
    imageryOf(date),
    `${plural(units, 'unit')} of ${unit} pixels (${Math.round(metres)} m)`,
    `${area < 10 ? area.toFixed(2) : Math.round(area)} km²`,
    ...(double ? [`${Math.round(100 * double)}% judged twice`] : []),
    ...(rounds.length > 1 ? [plural(rounds.length, 'round')] : []),
    ...(reviewers.length ? [`judged by ${reviewers.join(', ')}`] : []),
  ].join(' · ');
}

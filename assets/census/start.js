// The start of a census: what is counted, where, and how exactly; everything else has a default.
import { backLink } from '../shared/back_link.js';
import { h } from '../shared/dom.js';
import { areaField, polygonsField } from './area_field.js';
import { soughtChoice } from './sought.js';
import { createWaiting } from './waiting.js';

export async function showStart({ body, data, censuses, go, fail, asked, current, address }) {
  const collections = (await censuses.collections()).filter(({ error, chips }) => !error && chips);
  if (!current()) return undefined;
  const back = h('header', { class: 'lk-review-head' }, backLink('All censuses', () => go({})));
  if (!collections.length) {
    body.replaceChildren(back, nothingToCountIn(data));
    return undefined;
  }
  const waiting = createWaiting(censuses);
  const stage = h('div', {});
  let stopArea = () => {};
  let wanted = asked; // a saved search belongs to its collection, a detector to none
  await choose(collections.some(({ name }) => name === asked.collection) ? asked.collection : collections[0].name);
  if (current()) body.replaceChildren(back, h('h1', {}, 'Start a census'), stage);
  return () => {
    waiting.stop();
    stopArea();
  };

  // The form for one collection.
  async function choose(name) {
    stopArea();
    const collection = collections.find((each) => each.name === name);
    const sought = await soughtChoice(censuses, name, wanted);
    if (!current()) return;
    const where = select(collections.map((each) => [each.name, each.title]), name);
    where.addEventListener('change', () => {
      wanted = { detector: asked.detector };
      history.replaceState(history.state, '', address({ collection: where.value, ...(asked.detector ? wanted : {}) }));
      choose(where.value).catch(fail);
    });
    const days = [...new Set(collection.scenes.map(({ datetime }) => (datetime || '').slice(0, 10)))].filter(Boolean).sort().reverse();
    const date = select(days.map((day) => [day, day]), days[0]);
    const title = h('input', { type: 'text', maxlength: 200, placeholder: 'What is counted, if left empty' });
    const error = number({ min: 1, max: 100, value: 100 * data.error });
    const area = areaField({ data, collection, censuses, fail });
    stopArea = area.stop;
    const districts = polygonsField(censuses, fail, 'Districts');
    const unit = number({ min: 32, max: 4096, value: data.unit });
    const metres = h('span', { class: 'lk-muted' });
    const gsd = collection.scenes[0]?.gsd ?? 1;
    const measure = () => (metres.textContent = `pixels, ${Math.round(unit.value * gsd)} m`);
    unit.addEventListener('input', measure);
    measure();
    const double = number({ min: 0, max: 100, value: 0 });
    const floor = number({ min: 1, max: 100, value: 100 * data.floor });
    const begin = h('button', { class: 'lk-button lk-primary', type: 'submit', disabled: sought.empty }, 'Start');
    const options = h(
      'details',
      { class: 'lk-options' },
      h('summary', {}, 'Options'),
      field('Title', title),
      h('div', { class: 'lk-labelled' }, h('span', {}, 'Area'), area.element),
      h('div', { class: 'lk-labelled' }, h('span', {}, 'Districts'), districts.element, hint('Each polygon gets a count and an interval of its own.')),
      field('Unit size', unit, metres, hint('A square that is judged at once: large enough for the thing, small enough to look at in a few seconds.')),
      field('Second review', double, '%', hint('Of the units; another reviewer judges them without seeing the first answer.')),
      field('Minimum weight', floor, '%', hint('Of a unit in the draw, relative to the mean. Raise it where the detector may miss much.')),
    );
    const form = h(
      'form',
      { class: 'lk-start' },
      field('Collection', where),
      field('What to count', ...(sought.empty ? [nothingToCount(data, name)] : [sought.select])),
      ...(sought.missing ? [h('p', { class: 'lk-aside' }, `There is no ${sought.missing} in this collection. Choose another.`)] : []),
      ...(days.length > 1 ? [field('Date', date, hint('A census counts the imagery of one day.'))] : []),
      field('Wanted error', error, '%', hint('How far the total may be off, either way. Half the error takes about four times the judging.')),
      options,
      h('div', { class: 'lk-row' }, begin, waiting.element),
    );
    form.addEventListener('submit', async (event) => {
      event.preventDefault();
      begin.disabled = true;
      try {
        const census = await waiting.run((progress) =>
          censuses.start({
            collection: name,
            ...sought.fields(),
            title: title.value.trim() || sought.label(),
            ...(days.length > 1 ? { date: date.value } : {}),
            error: error.value / 100,
            within: area.value(),
            districts: districts.value(),
            unit: Number(unit.value),
            double: double.value / 100,
            floor: floor.value / 100,
            progress,
          }),
        );
        if (census && current()) go({ census: census.id, view: 'judge' });
      } catch (refusal) {
        fail(refusal);
      } finally {
        begin.disabled = false;
      }
    });
    stage.replaceChildren(form);
  }
}

// A label with its field and what else stands beside or below it.
function field(words, control, ...more) {
  return h('label', { class: 'lk-labelled' }, h('span', {}, words), control, ...more);
}

const hint = (words) => h('small', { class: 'lk-muted' }, words);
const number = (attributes) => h('input', { type: 'number', step: 1, inputmode: 'numeric', required: true, ...attributes });

function select(options, chosen) {
  const made = h('select', {}, ...options.map(([value, words]) => h('option', { value }, words)));
  made.value = chosen;
  return made;
}

function nothingToCount({ base }, collection) {
  const href = `${location.origin}${base}/search?${new URLSearchParams({ collection, mode: 'objects' })}`;
  return h(
    'p',
    {},
    'There is no detector yet, and no saved search of this collection. ',
    h('a', { href, target: '_self' }, 'Search for one of the things'),
    ', judge some results, then save the search or a detector.',
  );
}

const nothingToCountIn = ({ base }) =>
  h(
    'section',
    { class: 'lk-blank' },
    h('h2', {}, 'No collection yet'),
    h('p', {}, 'A census counts things in the imagery of a collection.'),
    h('a', { class: 'lk-button lk-primary', href: `${location.origin}${base}/area`, target: '_self' }, 'Draw an area'),
  );

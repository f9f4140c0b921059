// A check: hits drawn at random, judged without their score, rank or place in the list.
import { backLink } from '../shared/back_link.js';
import { h } from '../shared/dom.js';
import { formatCount, plural } from '../shared/format.js';
import { keyButton } from '../shared/keys.js';
import { hitFigures, listenToVerdicts, queryFigure, verdicts } from './judging.js';
import { percent } from './precision.js';
import { censusPage, searchPage } from './saved_searches.js';
import { createTrust } from './trust.js';

const AHEAD = 3; // pictures fetched before they are wanted
const USUAL = 50;

export async function showCheck({ root, body, data, saved, go, fail, asked, current, author, onName }) {
  const objects = asked.kind === 'objects';
  const noun = objects ? 'object' : 'hit';
  const [search, begun] = await Promise.all([
    objects ? saved.openObjects(asked).then((answer) => ({ ...answer.search, marks: answer.marks })) : saved.open(asked),
    saved.check(asked),
  ]);
  let check = begun;
  let items = check.left ? await saved.nextOfCheck(asked) : [];
  if (!current()) return undefined;
  const done = own(); // judged, to undo, the last one last
  let sending = Promise.resolve(); // one judgement after the other, in the order they were given
  const stage = h('div', { class: 'lk-stage' });
  const head = h('header', { class: 'lk-review-head' });
  body.replaceChildren(h('div', { class: 'lk-review' }, head, stage));
  let forget = () => {};
  if (items.length) judgeNext();
  else if (check.size && objects) summarize();
  else choose();
  // What was judged here goes by the name that the reviewer gives.
  onName((before, after) => {
    for (const { id, mark, scene_id: here } of done) {
      if (!here) continue;
      send(id, null, before);
      send(id, mark, after);
    }
    if (items.length) drawItem();
  });
  return () => {
    forget();
    onName(() => {});
  };

  // What one judged oneself: nobody takes back the judgement of another.
  function own() {
    return check.judgements.filter((each) => author.owns(each.author)).map(({ id, mark }) => ({ id, mark }));
  }

  function leave() {
    sending.then(async () => {
      if (!current()) return;
      if (!objects) return go({ collection: search.collection, search: search.id });
      check = await saved.check(asked).catch((refusal) => (fail(refusal), check));
      if (current()) summarize();
    });
  }

  // How many to judge: for a first sample, or for more of one that is done.
  function choose() {
    enter();
    const sizes = check.choices.filter(({ size }) => size > check.size);
    const pick = h(
      'select',
      { 'aria-label': `Number of ${noun}s to judge` },
      ...sizes.map(({ size, error }) => h('option', { value: size }, sizeWords(size, error, check.population, noun))),
    );
    const usual = sizes.find(({ size }) => size >= (check.size ? 2 * check.size : USUAL)) ?? sizes.at(-1);
    if (usual) pick.value = usual.size;
    const start = h('button', { class: 'lk-button lk-primary', type: 'button', onclick: draw }, 'Start');
    const words = check.population
      ? [
          h('h2', {}, check.size ? 'Judge more' : 'Check how many are right'),
          h(
            'p',
            {},
            `Of the ${plural(check.population, noun)}, some are drawn at random, from high and low scores alike. ` +
              'Judge each by what you see; its score and rank stay hidden. You can stop at any time: ' +
              'what you judged until then is a random sample, too.',
          ),
          h('div', { class: 'lk-row' }, h('label', { class: 'lk-field' }, pick), start),
        ]
      : [h('h2', {}, 'Nothing to check'), h('p', {}, `This search found no ${noun}s.`)];
    if (check.population && !sizes.length) words.splice(0, 3, h('h2', {}, 'All are judged'));
    head.replaceChildren(backLink(search.name, goBack));
    stage.replaceChildren(h('section', { class: 'lk-blank' }, ...words));

    async function draw() {
      start.disabled = true;
      try {
        check = await saved.drawCheck(asked, Number(pick.value));
        items = await saved.nextOfCheck(asked);
        if (!current()) return;
        if (items.length) judgeNext();
        else leave();
      } catch (refusal) {
        start.disabled = false;
        fail(refusal);
      }
    }
  }

  function goBack() {
    if (objects && check.size) return leave();
    if (objects) return location.assign(searchPage(data.base, search));
    return leave();
  }

  // The estimate; places show it beside their hits.
  function summarize() {
    enter();
    const known = new Set(Object.keys(check.marks));
    const marks = Object.entries(search.marks).filter(([id, mark]) => mark !== 'skip' && !known.has(id)).length;
    const trust = createTrust({
      check,
      marks,
      noun,
      cut: () => {},
      begin: async () => {
        items = check.left ? await saved.nextOfCheck(asked).catch((refusal) => (fail(refusal), [])) : [];
        if (items.length) judgeNext();
        else choose();
      },
      remove: async () => {
        try {
          await saved.removeCheck(asked);
          check = await saved.check(asked);
          done.length = 0;
          choose();
        } catch (refusal) {
          fail(refusal);
        }
      },
    });
    head.replaceChildren(backLink('All results', () => go({})));
    const map = h('a', { class: 'lk-button', href: searchPage(data.base, search), target: '_self' }, 'Open on the map');
    const census = h('a', { class: 'lk-button', href: censusPage(data.base, search), target: '_self' }, 'Start a census');
    stage.replaceChildren(h('div', { class: 'lk-summary' }, h('h1', {}, search.name), trust.element, h('div', { class: 'lk-row' }, map, census)));
  }

  function enter(listen) {
    forget();
    forget = listen ? listenToVerdicts(root, judge, listen) : () => {};
  }

  function judgeNext() {
    enter({ u: undo, Backspace: undo, Escape: leave });
    drawItem();
  }

  function drawItem() {
    const { size } = check;
    const judged = size - items.length;
    const bar = h('div', { class: 'lk-bar-done' });
    bar.style.width = `${(100 * judged) / size}%`;
    head.replaceChildren(
      backLink('Stop', leave),
      h('span', { class: 'lk-bar-all', 'aria-hidden': true }, bar),
      h('p', { role: 'status', class: 'lk-muted' }, `${formatCount(judged)} of ${formatCount(size)}`),
    );
    const [item] = items;
    const query = search.picture ? queryFigure(saved.picture(search)) : null;
    const figures = hitFigures(picture(item, 1), picture(item, 3), 'To judge');
    stage.replaceChildren(
      h('div', { class: 'lk-pictures' }, ...figures, ...(query ? [query] : [])),
      h(
        'aside',
        { class: 'lk-panel lk-judge' },
        h('div', {}, h('h2', {}, 'Is this a match?'), h('p', { class: 'lk-muted' }, `Looked for: ${search.query}`)),
        verdicts(judge, { skip: 'Cannot tell' }),
        h('div', { class: 'lk-row lk-moves' }, keyButton('undo', 'Undo', 'U', undo, !done.length)),
        h('p', { class: 'lk-muted' }, 'Drawn at random; its score is hidden. Cannot tell widens the interval.'),
        author.button(),
      ),
    );
    for (const next of items.slice(1, 1 + AHEAD)) [1, 3].forEach((around) => (new Image().src = picture(next, around)));
  }

  function picture(item, around) {
    return objects ? saved.object(item, 512, around) : saved.chip(search, item.id, 512, around);
  }

  function judge(mark) {
    const item = items.shift();
    if (!item) return;
    done.push({ ...item, mark });
    author.marked();
    send(item.id, mark);
    if (items.length) drawItem();
    else leave();
  }

  function undo() {
    const item = done.pop();
    if (!item) return;
    send(item.id, null);
    if (item.scene_id) {
      items.unshift(item);
      drawItem();
    } else sending.then(reload); // judged in an earlier sitting
  }

  // The next hit is shown at once, and the judgement sent in the background.
  function send(id, mark, by = author.name()) {
    sending = sending.then(() =>
      saved.judge(asked, id, mark, by).catch(async (refusal) => {
        fail(refusal);
        await reload();
      }),
    );
  }

  async function reload() {
    check = await saved.check(asked);
    items = await saved.nextOfCheck(asked);
    done.splice(0, done.length, ...own());
    if (!current()) return;
    if (items.length) drawItem();
    else leave();
  }
}

export const sizeWords = (size, error, population, noun = 'hit') =>
  size === population ? `All ${plural(size, noun)} (exact)` : `${plural(size, noun)} (±${percent(error)} or better)`;

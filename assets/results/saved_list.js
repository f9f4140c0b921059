// All saved searches, the latest first; two of them can be chosen to compare.
import { h, iconButton } from '../shared/dom.js';
import { formatCount, formatDay, plural } from '../shared/format.js';
import { keyOf, searchPage } from './saved_searches.js';

export async function showList({ body, data, saved, go, fail }) {
  let [{ searches, refused, trashed }, objects] = await Promise.all([saved.all(), saved.objects()]);
  let chosen = [];
  const title = h('h1', {}, 'Results');
  const tools = h('div', { class: 'lk-row' });
  const list = h('ul', { class: 'lk-saved' });
  const rest = h('div', { class: 'lk-rest' });
  body.replaceChildren(h('header', { class: 'lk-head' }, title, tools), list, rest);
  draw();

  function draw() {
    const rows = [...searches.map((each) => [each, row]), ...objects.map((each) => [each, objectRow])];
    rows.sort(([a], [b]) => b.created.localeCompare(a.created));
    list.replaceChildren(...rows.map(([each, draw]) => draw(each)));
    rest.replaceChildren(
      ...(rows.length ? [] : [emptyList(data)]),
      ...refused.map(refusal),
      ...trashed.map((gone) => trashNote(gone, data)),
    );
    drawTools();
  }

  function drawTools() {
    if (!comparable(searches) && !comparable(objects)) return tools.replaceChildren();
    const ready = chosen.length === 2;
    const compare = { class: 'lk-button', type: 'button', disabled: !ready, onclick: openBoth };
    const hint = ready ? '' : chosen.length ? 'Select one more' : 'Select two to compare';
    return tools.replaceChildren(
      h('span', { class: 'lk-muted lk-wide' }, hint),
      h('button', compare, 'Compare'),
    );
  }

  function openBoth() {
    const [first, second] = chosen;
    go({
      collection: first.collection,
      search: first.id,
      with: keyOf(second),
      ...(objects.includes(first) ? { kind: 'objects' } : {}),
    });
  }

  // Places are compared with places, objects with objects.
  function choose(search, on) {
    const kind = objects.includes(search) ? objects : searches;
    chosen = chosen.filter((other) => other !== search && kind.includes(other));
    if (on) chosen = [...chosen, search].slice(-2);
    for (const box of list.querySelectorAll('input')) {
      box.checked = chosen.some((search) => keyOf(search) === box.value);
    }
    drawTools();
  }

  function row(search) {
    const { collection, id } = search;
    const open = () => go({ collection, search: id });
    const item = h(
      'li',
      { class: 'lk-saved-row' },
      tick(search, searches),
      h(
        'button',
        { class: 'lk-open', type: 'button', onclick: open },
        picture(search, saved),
        h(
          'span',
          { class: 'lk-saved-words' },
          h('strong', {}, search.name),
          h('span', { class: 'lk-muted' }, facts(search)),
          search.note ? h('span', { class: 'lk-one-line' }, search.note) : null,
        ),
        progress(search),
      ),
      iconButton('trash', `Delete ${search.name}`, () => confirmDelete(item, search)),
    );
    return item;
  }

  // The box that chooses a search to compare; room for it where others have one.
  function tick(search, kind) {
    if (!comparable(kind)) return comparable(searches) || comparable(objects) ? h('span', { class: 'lk-tick' }) : null;
    const box = h('input', { type: 'checkbox', value: keyOf(search), 'aria-label': `Compare ${search.name}` });
    box.checked = chosen.includes(search);
    box.addEventListener('change', () => choose(search, box.checked));
    return h('label', { class: 'lk-tick' }, box);
  }

  function objectRow(search) {
    const href = searchPage(data.base, search);
    const thumb = search.best
      ? h('img', { src: saved.object(search.best), alt: '', width: 72, height: 72, class: 'lk-thumb' })
      : h('span', { class: 'lk-thumb lk-skeleton' });
    const facts = [search.collection_title, plural(search.objects, 'object'), formatDay(search.created)];
    const item = h(
      'li',
      { class: 'lk-saved-row' },
      tick(search, objects),
      h(
        'a',
        { class: 'lk-open', href, target: '_self' },
        thumb,
        h(
          'span',
          { class: 'lk-saved-words' },
          h('strong', {}, search.name),
          h('span', { class: 'lk-muted' }, facts.join(' · ')),
          search.note ? h('span', { class: 'lk-one-line' }, search.note) : null,
        ),
        progress({ reviewed: search.reviewed, hits: search.objects }),
      ),
      h(
        'button',
        {
          class: 'lk-button',
          type: 'button',
          title: `Check how many objects of ${search.name} are right`,
          onclick: () => go({ collection: search.collection, search: search.id, kind: 'objects' }),
        },
        'Check',
      ),
      iconButton('trash', `Delete ${search.name}`, () => confirmDelete(item, search, saved.removeObjects)),
    );
    return item;
  }

  // Asks in place; nothing is deleted before the answer.
  function confirmDelete(item, search, removed = saved.remove) {
    const before = [...item.childNodes];
    const keep = h('button', { class: 'lk-button', type: 'button' }, 'Cancel');
    keep.onclick = () => item.replaceChildren(...before);
    const remove = h('button', { class: 'lk-button lk-danger', type: 'button' }, 'Delete');
    remove.onclick = async () => {
      remove.disabled = true;
      try {
        await removed(search);
        searches = searches.filter((other) => other !== search);
        objects = objects.filter((other) => other !== search);
        chosen = chosen.filter((other) => other !== search);
        draw();
      } catch (refusal) {
        item.replaceChildren(...before);
        fail(refusal);
      }
    };
    const review = search.reviewed ? ` and its ${formatCount(search.reviewed)} marks` : '';
    item.replaceChildren(
      h('span', { class: 'lk-saved-words lk-ask' }, `Delete “${search.name}”${review} permanently?`),
      keep,
      remove,
    );
    keep.focus();
  }
}

const comparable = (kind) => kind.length > 1;

function picture(search, saved) {
  if (!search.picture) return h('span', { class: 'lk-thumb lk-skeleton' });
  const source = { src: saved.picture(search), alt: '', width: 72, height: 72, class: 'lk-thumb' };
  return h('img', source);
}

function facts({ collection_title: title, hits, created, name, query }) {
  const like = name === query ? [] : [`similar to ${query}`];
  return [title, ...like, plural(hits, 'hit'), formatDay(created)].join(' · ');
}

function progress({ reviewed, hits }) {
  const share = hits ? reviewed / hits : 0;
  const bar = h('span', { class: 'lk-bar-done' });
  bar.style.width = `${100 * share}%`;
  return h(
    'span',
    { class: 'lk-progress' },
    h('span', { class: 'lk-bar-all', 'aria-hidden': true }, bar),
    h('span', { class: 'lk-muted' }, reviewed ? `${formatCount(reviewed)} reviewed` : 'not reviewed'),
  );
}

function emptyList({ base }) {
  return h(
    'section',
    { class: 'lk-blank' },
    h('h2', {}, 'No saved searches yet'),
    h(
      'p',
      {},
      'Run a search, then press Save. Saved searches appear here with their hits, to review, ' +
        'compare and export.',
    ),
    h(
      'a',
      { class: 'lk-button lk-primary', href: `${location.origin}${base}/search`, target: '_self' },
      'Search',
    ),
  );
}

const refusal = ({ collection, title, remedy }) =>
  h('p', { class: 'lk-aside' }, `${collection}: ${title}. ${remedy ? `${remedy}.` : ''}`);

function trashNote({ title, searches }, { base }) {
  return h(
    'p',
    { class: 'lk-aside' },
    `${plural(searches, 'saved search is', 'saved searches are')} in Trash with ${title}. `,
    h('a', { href: `${location.origin}${base}/collections`, target: '_self' }, 'Restore the collection'),
    ` to see ${searches === 1 ? 'it' : 'them'} again.`,
  );
}

// The gallery: the query on top, the results with their pictures, scores, places and days.
import { copyText, count, day, h, icon, place, rankColour, score } from './dom.js';

export function createGallery({ store, service, root, actions, map, data }) {
  const pane = root.querySelector('.lk-gallery');
  const head = h('div', { class: 'lk-query' });
  const list = h('ol', { class: 'lk-cards', 'aria-label': 'Results, most similar first' });
  pane.replaceChildren(head, list);
  const drop = acceptDrops(root, actions);
  const card = (hit, at, total) => drawCard(hit, at, total, { service, data, actions, map, store });

  const drawHead = ({ query, summary, shown, hits, least }) =>
    head.replaceChildren(
      query ? queryCard(query, { service, data, actions }) : invitation(data.collection),
      ...(query && summary ? [summaryLine(summary, shown, hits, least)] : []),
    );
  const drawList = ({ shown, query, busy, options }) => {
    const waiting = query && busy && !shown.length;
    list.replaceChildren(
      ...(waiting ? skeletons(options.k) : shown.map((hit, at) => card(hit, at, shown.length))),
    );
  };
  const stops = [
    store.watch(['query', 'summary', 'shown'], drawHead),
    store.watch(['shown', 'busy', 'query'], drawList),
    store.watch(['selected', 'shown'], ({ selected }) => markSelected(list, selected)),
    store.watch(['hovered', 'shown'], ({ hovered }) => markHovered(list, hovered)),
  ];
  return { stop: () => [...stops, drop].forEach((stop) => stop()) };
}

function invitation({ chips, title }) {
  return h(
    'div',
    { class: 'lk-invitation' },
    h('h2', {}, 'Click anything on the image'),
    h(
      'p',
      {},
      `Lookalike compares it with all ${count(chips)} chips of ${title} and shows the places that ` +
        'look most like it, here and on the map.',
    ),
    h('p', {}, 'Or drop a picture here, from any camera in the sky.'),
    shortcuts(),
  );
}

function shortcuts() {
  const row = (keys, what) =>
    h('div', {}, h('dt', {}, ...keys.map((key) => h('kbd', {}, key))), h('dd', {}, what));
  return h(
    'dl',
    { class: 'lk-keys' },
    row(['←', '↑', '↓', '→'], 'step through results, or move over the grid'),
    row(['Enter'], 'search from the selected one'),
    row(['Z'], 'zoom to it, and back'),
    row(['Esc'], 'clear'),
  );
}

function queryCard(query, { service, data, actions }) {
  const picture = query.kind === 'picture';
  const source = picture
    ? query.picture && service.picture(query.picture)
    : query.lon !== undefined && service.chip(query.chip, 128, data.collection.version);
  return h(
    'div',
    { class: 'lk-query-card' },
    source
      ? h('img', { src: source, alt: picture ? 'Your picture' : 'The query chip' })
      : h('div', { class: 'lk-skeleton lk-query-blank' }),
    h(
      'div',
      { class: 'lk-query-words' },
      h('h2', {}, picture ? 'Like your picture' : 'Like this chip'),
      query.lon === undefined ? null : coordinates(query),
      picture ? null : h('span', { class: 'lk-muted' }, query.chip ? day(query.datetime) : ''),
    ),
    h(
      'button',
      { class: 'lk-ghost', type: 'button', title: 'Clear (Esc)', 'aria-label': 'Clear the search', onclick: actions.clear },
      icon('clear'),
    ),
  );
}

function summaryLine({ eligible, seconds }, shown, hits, least) {
  const time = seconds < 1 ? `${Math.max(1, Math.round(seconds * 1000))} ms` : `${seconds.toFixed(1)} s`;
  const hidden = hits.length - shown.length;
  const below = hidden ? `, ${count(hidden)} below ${score(least)} hidden` : '';
  return h(
    'p',
    { class: 'lk-summary', role: 'status' },
    `${count(shown.length)} of ${count(eligible)} chips${below} · ${time}`,
  );
}

function drawCard(hit, at, total, { service, data, actions, map, store }) {
  const where = place(hit.lon, hit.lat);
  const rank = h('span', { class: 'lk-rank' }, String(hit.rank));
  rank.style.background = rankColour(hit.rank, total);
  const picture = h('img', {
    src: service.chip(hit.id, 256, data.collection.version),
    loading: at < 12 ? 'eager' : 'lazy',
    width: 256,
    height: 256,
    alt: '',
  });
  const pick = h(
    'button',
    {
      class: 'lk-pick',
      type: 'button',
      'aria-label': `Result ${hit.rank}, similarity ${score(hit.score)}, at ${where}`,
      onclick: () => actions.select(at),
      ondblclick: () => map.zoomTo(at),
      onfocus: () => store.set({ hovered: at }),
      onblur: () => store.set({ hovered: -1 }),
    },
    picture,
    rank,
    h('span', { class: 'lk-score', title: 'Similarity: cosine, 1 is identical' }, score(hit.score)),
  );
  return h(
    'li',
    {
      class: 'lk-card',
      onmouseenter: () => store.set({ hovered: at }),
      onmouseleave: () => store.set({ hovered: -1 }),
    },
    pick,
    h(
      'div',
      { class: 'lk-card-words' },
      coordinates(hit),
      h('span', { class: 'lk-muted' }, day(hit.datetime)),
      h(
        'span',
        { class: 'lk-card-tools' },
        tool('zoom', `Zoom to result ${hit.rank}`, () => map.zoomTo(at)),
        tool('search', `Search from result ${hit.rank}`, () => actions.searchHit(at)),
      ),
    ),
  );
}

function tool(name, title, onclick) {
  const button = { class: 'lk-ghost', type: 'button', title, 'aria-label': title, onclick };
  return h('button', button, icon(name));
}

function coordinates({ lon, lat }) {
  const where = place(lon, lat);
  const words = h('span', {}, where);
  const button = h(
    'button',
    {
      class: 'lk-copy',
      type: 'button',
      title: 'Copy latitude, longitude',
      'aria-label': `Copy ${where}`,
      onclick: async () => {
        await copyText(where);
        words.textContent = 'Copied';
        setTimeout(() => (words.textContent = where), 900);
      },
    },
    words,
    icon('copy'),
  );
  return button;
}

function skeletons(wanted) {
  return Array.from({ length: Math.min(wanted, 12) }, () =>
    h('li', { class: 'lk-card lk-waiting', 'aria-hidden': true }, h('div', { class: 'lk-skeleton' })),
  );
}

function markSelected(list, selected) {
  [...list.children].forEach((card, at) => {
    const on = at === selected;
    if (on && !card.classList.contains('lk-selected')) bringForward(list, card);
    card.classList.toggle('lk-selected', on);
    card.querySelector('.lk-pick')?.setAttribute('aria-pressed', on);
  });
}

// Scrolls the list alone, never the page, and moves the focus if it was in the list.
function bringForward(list, card) {
  const pane = list.parentElement;
  const [frame, box] = [pane.getBoundingClientRect(), card.getBoundingClientRect()];
  if (box.top < frame.top) pane.scrollTop += box.top - frame.top - 8;
  else if (box.bottom > frame.bottom) pane.scrollTop += box.bottom - frame.bottom + 8;
  if (list.contains(document.activeElement)) {
    card.querySelector('.lk-pick')?.focus({ preventScroll: true });
  }
}

function markHovered(list, hovered) {
  [...list.children].forEach((card, at) => card.classList.toggle('lk-hovered', at === hovered));
}

function acceptDrops(root, actions) {
  const over = (event) => {
    if (![...event.dataTransfer.types].includes('Files')) return;
    event.preventDefault();
    root.classList.add('lk-dropping');
  };
  const leave = () => root.classList.remove('lk-dropping');
  const drop = (event) => {
    leave();
    const [file] = event.dataTransfer.files;
    if (!file) return;
    event.preventDefault();
    actions.searchPicture(file);
  };
  root.addEventListener('dragover', over);
  root.addEventListener('dragleave', leave);
  root.addEventListener('drop', drop);
  return () => {
    root.removeEventListener('dragover', over);
    root.removeEventListener('dragleave', leave);
    root.removeEventListener('drop', drop);
  };
}

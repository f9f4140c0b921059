// The slim row above the map in object search.
import { penOf } from '../../shared/canvas.js';
import { collectionChoice } from '../../shared/collection_choice.js';
import { h, icon } from '../../shared/dom.js';
import { formatScore, plural } from '../../shared/format.js';
import { createNotes } from '../../shared/notes.js';
import { filterButton } from '../controls.js';
import { helpButton } from '../help.js';
import { modeChoice } from '../mode_choice.js';
import { detectorMenu } from './detectors.js';
import { FORMATS } from './exports.js';
import { savedMenu } from './saved.js';
import { started } from './start.js';
import { waitingBar } from './waiting.js';

export function createObjectControls(context) {
  const { store, root, actions, data, onCollection, onMode } = context;
  const notes = createNotes({ root, store });
  root.querySelector('.lk-controls').replaceChildren(
    collectionChoice(data, onCollection),
    modeChoice('objects', onMode),
    sizeField(store, actions),
    minScoreField(store, actions),
    filterButton(store, actions),
    fileButton(actions),
    h('span', { class: 'lk-push' }),
    notes.busy,
    waitingBar(store, actions),
    unsent(store),
    savedMenu(context),
    detectorMenu(context),
    exportMenu(store, actions),
    clearButton(store, actions),
    helpButton(store),
  );
  return notes;
}

function sizeField(store, actions) {
  const field = h('input', { type: 'number', min: 0.1, max: 100_000, step: 'any', inputmode: 'decimal' });
  field.addEventListener('change', () => {
    actions.setSize(Number(field.value));
    field.value = store.state.size;
  });
  store.watch(['size'], ({ size }) => (field.value = size ?? ''));
  const title = 'Width of the object that a click takes; on the map, Alt and the wheel change it';
  return h('label', { class: 'lk-field', title }, h('span', {}, 'Object size'), field, h('span', {}, 'm'));
}

// Examples that are in a file: a picture of the object, or a vector file of points and polygons.
function fileButton(actions) {
  const accept = 'image/*,.tif,.tiff,.geojson,.json,.gpkg,.zip,.kml,.fgb,.parquet';
  const file = h('input', { type: 'file', accept, class: 'lk-offscreen', tabindex: -1, 'aria-label': 'File with examples' });
  file.addEventListener('change', () => {
    if (file.files[0]) actions.searchFile(file.files[0]);
    file.value = '';
  });
  const title = 'Search by a picture of the object, or by points or polygons in a vector file (GeoJSON, GeoPackage, zipped Shapefile, KML)';
  const button = { class: 'lk-button', type: 'button', title, onclick: () => file.click() };
  return h('span', { class: 'lk-picture' }, h('button', button, icon('picture'), h('span', {}, 'From file')), file);
}

function minScoreField(store, actions) {
  const range = h('input', { type: 'range', min: 0, max: 1, step: 0.01 });
  const value = h('output', {});
  const chart = h('canvas', { class: 'lk-spread', 'aria-hidden': true });
  range.addEventListener('input', () => actions.setMinScore(Number(range.value)));
  range.addEventListener('change', () => actions.setMinScore(Number(range.value), true));
  store.watch(['minScore'], ({ minScore }) => {
    range.value = minScore;
    value.textContent = formatScore(minScore);
  });
  store.watch(['minScore', 'objects'], (state) => drawSpread(chart, state));
  const title = 'Distribution of scores; objects below the minimum are hidden';
  return h(
    'label',
    { class: 'lk-field lk-cut', title },
    h('span', {}, 'Minimum score'),
    h('span', { class: 'lk-cut-box' }, chart, range),
    value,
  );
}

function drawSpread(canvas, { objects, minScore }) {
  const [width, height, bins] = [150, 28, new Array(50).fill(0)];
  const pen = penOf(canvas, width, height);
  pen.clearRect(0, 0, width, height);
  for (const { score } of objects) bins[Math.max(0, Math.min(49, Math.floor(score * 50)))] += 1;
  const most = Math.max(...bins);
  pen.fillStyle = getComputedStyle(canvas).color;
  bins.forEach((count, k) => {
    if (!count) return;
    const tall = Math.max(2, Math.sqrt(count / most) * (height - 2));
    pen.globalAlpha = (k + 0.5) / 50 >= minScore ? 0.85 : 0.3;
    pen.fillRect(k * 3, height - tall, 2.4, tall);
  });
}

function unsent(store) {
  const words = h('span', { class: 'lk-busy lk-unsent', role: 'status' });
  store.watch(['unsent'], (state) => {
    words.textContent = state.unsent ? `${plural(state.unsent, 'mark')} not sent yet` : '';
  });
  return words;
}

function exportMenu(store, actions) {
  const kinds = [['outline', 'Outlines'], ['box', 'Boxes'], ['point', 'Points']];
  const choice = (label, options) =>
    h('select', { 'aria-label': label }, ...options.map(([value, title]) => h('option', { value }, title)));
  const geometry = choice('Shown as', kinds);
  const which = choice('Marks', [['', 'All'], ['good,none,skip', 'Not bad'], ['good', 'Good']]);
  const marked = h('label', { class: 'lk-field', title: 'Objects marked good are exported at any score' }, h('span', {}, 'Marks'), which);
  const menu = h('details', { class: 'lk-choice' }, h('summary', { class: 'lk-button' }, icon('download'), 'Export'));
  const pick = (act) => () => {
    menu.open = false;
    act();
  };
  const entry = (title, act) => h('button', { class: 'lk-button', type: 'button', onclick: pick(act) }, title);
  const scores = entry('Score map (GeoTIFF)', actions.exportScoreMap);
  menu.append(
    h('div', { class: 'lk-choices lk-export' }, h('label', { class: 'lk-field' }, h('span', {}, 'Shown as'), geometry), marked,
      ...FORMATS.map(([format, title]) => entry(title, () => actions.exportAs(format, geometry.value, which.value ? which.value.split(',') : []))),
      scores,
    ),
  );
  store.watch(['objects'], ({ objects }) => (menu.hidden = !objects.length));
  store.watch(['marks'], ({ marks }) => {
    marked.hidden = ![...marks.values()].some(Boolean);
    if (marked.hidden) which.value = '';
  });
  store.watch(['answer'], ({ answer }) => (scores.hidden = !answer?.score_map));
  return menu;
}

function clearButton(store, actions) {
  const button = h('button', { class: 'lk-button', type: 'button', title: 'Esc', onclick: actions.clear }, icon('clear'), 'Clear');
  store.watch(['examples', 'detector', 'picture', 'objects'], (state) => (button.disabled = !(started(state) || state.objects.length)));
  return button;
}

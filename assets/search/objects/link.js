// An object search as an address, and back.
import { filtersOf, placeOf, placeText, setOf, writeFilters } from '../../shared/link.js';

const remembered = (name) => `lookalike:objects:${name}`;
const sizes = (name) => `lookalike:object-size:${name}`;

export function readObjectLink(name, search = location.search) {
  let fields = new URLSearchParams(search);
  if (fields.get('mode') !== 'objects') {
    fields = new URLSearchParams(sessionStorage.getItem(remembered(name)) || '');
  }
  const numbers = (text) => text.split(',').map(Number);
  const examples = [];
  for (const text of fields.getAll('at')) {
    const [lon, lat, size, bad] = text.split(',');
    const place = [Number(lon), Number(lat)];
    if (!place.every(Number.isFinite)) continue;
    const example = { at: place, label: bad === 'bad' ? 'bad' : 'good' };
    if (Number(size) > 0) example.object_size = Number(size);
    examples.push(example);
  }
  for (const text of fields.getAll('box')) {
    const box = numbers(text);
    if (box.length === 4 && box.every(Number.isFinite)) examples.push({ box, label: 'good' });
  }
  for (const text of fields.getAll('polygon')) {
    const polygon = placeOf(text);
    if (polygon) examples.push({ polygon, label: 'good' });
  }
  const minScore = Number.parseFloat(fields.get('min')) || 0;
  const detector = fields.get('detector') || null;
  const saved = fields.get('saved') || null;
  const picture = fields.get('picture') || null;
  const filters = filtersOf(fields);
  const hideMarked = fields.get('hide') === '1';
  return { examples, minScore, marks: setOf(fields), detector, saved, picture, filters, hideMarked };
}

export function writeObjectLink(name, state, set, step = false) {
  const { examples, minScore, detector, saved, picture, filters = {}, hideMarked } = state;
  const fields = new URLSearchParams({ collection: name, mode: 'objects' });
  for (const { at, box, polygon, object_size: size, label } of examples) {
    if (polygon) fields.append('polygon', placeText(polygon));
    else if (box) fields.append('box', box.map((value) => +value.toFixed(7)).join());
    else {
      const place = at.map((value) => +value.toFixed(7));
      fields.append('at', [...place, +(size ?? 0).toFixed(2), ...(label === 'bad' ? ['bad'] : [])].join());
    }
  }
  if (minScore > 0) fields.set('min', minScore.toFixed(2));
  if (picture) fields.set('picture', picture);
  if (!saved) writeFilters(fields, filters); // a saved search has its own
  if (set) fields.set('marks', set);
  if (detector) fields.set('detector', detector.name);
  if (saved) fields.set('saved', saved.id);
  if (hideMarked) fields.set('hide', '1');
  sessionStorage.setItem(remembered(name), fields.toString());
  const address = `${location.pathname}?${fields}${location.hash}`;
  const known = address === location.pathname + location.search + location.hash;
  if (step && !known) history.pushState(history.state, '', address);
  else history.replaceState(history.state, '', address);
}

// The size in metres that was last used in a collection.
export const keptSize = (name) => Number(localStorage.getItem(sizes(name))) || null;
export const keepSize = (name, size) => localStorage.setItem(sizes(name), String(size));

// The switch between searching for objects and for places.
import { h } from '../shared/dom.js';

const MODES = [
  ['objects', 'Object', 'Find a thing: every object like it, each at its place'],
  ['places', 'Place', 'Find places like this: land use, pattern, texture'],
];

export function modeChoice(mode, onMode) {
  const buttons = MODES.map(([key, words, title]) =>
    h('button', { class: 'lk-button lk-toggle', type: 'button', title, 'aria-pressed': String(key === mode), onclick: () => key !== mode && onMode(key) }, words),
  );
  return h('span', { class: 'lk-mode', role: 'group', 'aria-label': 'Search for' }, ...buttons);
}

const kept = (name) => `lookalike:mode:${name}`;

const fieldsOf = () => new URLSearchParams(location.search);
export const linkedMode = () => (fieldsOf().get('mode') === 'objects' ? 'objects' : 'places');

// The mode that the address, the browser or the collection says.
export function modeOf({ collection, objects }) {
  const fields = fieldsOf();
  if (linkedMode() === 'objects') return 'objects';
  if (['chip', 'box', 'picture', 'good', 'saved'].some((key) => fields.get(key))) return 'places';
  return localStorage.getItem(kept(collection.name)) ?? (objects ? 'objects' : 'places');
}

export const keepMode = (name, mode) => localStorage.setItem(kept(name), mode);

import { h } from './dom.js';

// Which collection the page is of.
export function collectionChoice({ collection, collections }, onCollection) {
  const options = collections.map(({ name, title }) =>
    h('option', { value: name, selected: name === collection.name }, title),
  );
  const choose = (event) => onCollection(event.target.value);
  return h(
    'label',
    { class: 'lk-field lk-collection' },
    h('span', {}, 'Collection'),
    h('select', { onchange: choose }, ...options),
  );
}

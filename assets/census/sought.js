// What a census looks for: a detector, or a saved search of the collection.
import { h } from '../shared/dom.js';
import { formatDay } from '../shared/format.js';

const KINDS = [
  ['detector', 'Detectors'],
  ['saved', 'Saved searches'],
];

// A select of everything that can be counted in a collection; `wanted` is { detector, saved }.
export async function soughtChoice(censuses, collection, wanted = {}) {
  const [detectors, objects, { searches }] = await Promise.all([
    censuses.detectors(),
    censuses.objectSearches(collection),
    censuses.searches(),
  ]);
  const places = searches.filter((each) => each.collection === collection);
  const saved = [...objects, ...places].sort((a, b) => b.created.localeCompare(a.created));
  const choices = {
    detector: detectors.filter(({ error }) => !error).map(({ name, title }) => [name, title, title]),
    saved: saved.map(({ id, name, created }) => [id, `${name} · ${formatDay(created)}`, name]),
  };
  const select = h('select', { required: true });
  for (const [kind, label] of KINDS) {
    if (!choices[kind].length) continue;
    const options = choices[kind].map(([id, words, title]) => h('option', { value: `${kind}:${id}`, 'data-title': title }, words));
    select.append(h('optgroup', { label }, ...options));
  }
  for (const [kind] of KINDS) {
    if (choices[kind].some(([id]) => id === wanted[kind])) select.value = `${kind}:${wanted[kind]}`;
  }
  const [kind, name] = KINDS.map(([each]) => [each, wanted[each]]).find(([, id]) => id) ?? [];
  return {
    select,
    empty: !select.children.length,
    // What was wanted and is not there, in words.
    missing: name && !choices[kind].some(([id]) => id === name) ? `${kind === 'saved' ? 'saved search' : 'detector'} ${name}` : '',
    label: () => select.selectedOptions[0]?.dataset.title ?? '',
    // As the server takes it.
    fields() {
      const at = select.value.indexOf(':');
      return { [select.value.slice(0, at)]: select.value.slice(at + 1) };
    },
  };
}

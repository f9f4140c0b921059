// The `mount` of a component.  Streamlit calls it at first and on every rerun, and calls what it
// returns when the element goes away.

// What a view of one collection depends on.
export const collectionKey = ({ collection: { name, version } }) => `${name}:${version}`;

// `start(root, data, send)` makes a view: { stop, update? }.  Reruns keep it, and only update it, until
// its key is another one.
export function createMount(selector, start, keyOf = () => '') {
  const views = new WeakMap();

  function begin(root, data, send) {
    const view = start(root, data, send);
    const live = {
      key: keyOf(data),
      update: (newer) => view.update?.(newer),
      stop() {
        if (views.get(root) !== live) return; // another view has taken its place
        views.delete(root);
        view.stop();
      },
    };
    views.set(root, live);
    return live;
  }

  return function mount({ data, parentElement, setTriggerValue }) {
    const root = parentElement.querySelector(selector);
    let view = views.get(root);
    if (view?.key !== keyOf(data)) {
      view?.stop();
      view = begin(root, data, setTriggerValue);
    }
    view.update(data);
    return view.stop;
  };
}

// The least of a browser page: an address with its history, what a tab remembers, and elements.

const define = (name, value) =>
  Object.defineProperty(globalThis, name, { value, configurable: true, writable: true });

// What pens did, in order: [name of the method, ...arguments], with the pen's colours at the time.
export const strokes = [];

const penOf = () =>
  new Proxy({}, {
    get(own, name) {
      if (name in own) return own[name];
      return (...args) => strokes.push({ name, args, ...own });
    },
  });

class Element {
  constructor(tag) {
    Object.assign(this, { tag, attributes: {}, children: [], listeners: {}, textContent: '' });
    this.style = {};
  }

  setAttribute(name, value) {
    this.attributes[name] = String(value);
  }

  addEventListener(name, call) {
    this.listeners[name] = call;
  }

  append(...children) {
    this.children.push(...children);
  }

  getBoundingClientRect() {
    return { left: 0, top: 0, width: Number(this.width), height: Number(this.height) };
  }

  getContext() {
    return (this.pen ??= penOf());
  }

  replaceChildren(...children) {
    this.children = children;
  }

  remove() {
    this.removed = true;
  }

  // Every element below this one with that class.
  all(name) {
    const below = this.children.filter((child) => child instanceof Element);
    return below.flatMap((child) => [
      ...(child.attributes.class?.split(' ').includes(name) ? [child] : []),
      ...child.all(name),
    ]);
  }
}

define('matchMedia', () => ({ matches: false }));
define('window', {});
define('getComputedStyle', () => ({ color: 'black' }));
define('document', {
  createElement: (tag) => new Element(tag),
  createElementNS: (_, tag) => new Element(tag),
});

const kept = new Map();
define('sessionStorage', {
  getItem: (key) => kept.get(key) ?? null,
  setItem: (key, value) => kept.set(key, String(value)),
});

// Addresses that Back leads to, the first one first.
export const steps = [];

const go = (address) => {
  const { pathname, search, hash } = new URL(address, location.origin);
  Object.assign(location, { pathname, search, hash });
};
define('location', { origin: 'http://lookalike.test', pathname: '/', search: '', hash: '' });
define('history', {
  state: { of: 'Streamlit' },
  pushState(_state, _title, address) {
    steps.push(location.pathname + location.search + location.hash);
    go(address);
  },
  replaceState: (_state, _title, address) => go(address),
});

// A tab that has just been opened at this address.
export function openTab(address = '/') {
  kept.clear();
  steps.length = 0;
  go(address);
}

// The same tab, led to another address.
export const follow = go;

// Leaflet's canvas layers: a tile beyond ±180° is drawn as the one a turn away, unless told not to.
class GridLayer {
  constructor(options) {
    this.options = options;
  }

  static extend(methods) {
    const Layer = class extends this {};
    Object.assign(Layer.prototype, methods);
    return Layer;
  }

  getTileSize() {
    return { x: 256, y: 256 };
  }

  addTo(map) {
    map.layers.push(this);
    return this;
  }

  remove() {
    this.removed = true;
  }

  // What is drawn on a tile.
  drawn({ x, y, z }) {
    strokes.length = 0;
    const turn = 2 ** z;
    this.createTile({ x: this.options.noWrap ? x : ((x % turn) + turn) % turn, y, z });
    return [...strokes];
  }
}

export const L = { GridLayer };

// Elements and icons.

// h('button', { class: 'x', onclick: f, 'aria-label': 'y' }, child, ...) makes an element.
export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith('on')) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? '' : value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

// Whether the primary pointer is touch: write Tap, and show no keyboard shortcuts.
export const TOUCH = matchMedia('(pointer: coarse)').matches;

const ICONS = {
  picture: 'M4 5h16v14H4zM4 16l5-5 4 4 3-3 4 4M15.5 9.5h.01',
  clear: 'M6 6l12 12M18 6L6 18',
  zoom: 'M10.5 4a6.5 6.5 0 1 1 0 13 6.5 6.5 0 0 1 0-13zM15.5 15.5L20 20M10.5 8v5M8 10.5h5',
  search: 'M10.5 4a6.5 6.5 0 1 1 0 13 6.5 6.5 0 0 1 0-13zM15.5 15.5L20 20',
  back: 'M10 6l-6 6 6 6M4 12h16',
  fit: 'M4 9V4h5M20 9V4h-5M4 15v5h5M20 15v5h-5',
  grid: 'M4 4h16v16H4zM4 9.3h16M4 14.7h16M9.3 4v16M14.7 4v16',
  rectangle: 'M4 6h16v12H4zM4 6h.01M20 6h.01M20 18h.01M4 18h.01',
  polygon: 'M12 3.5l8.5 6.3-3.2 10H6.7l-3.2-10z',
  view: 'M4 9V5h5M20 9V5h-5M4 15v4h5M20 15v4h-5M9 12h6M12 9v6',
  trash: 'M5 7h14M10 7V4.5h4V7M7 7l1 13h8l1-13M10.5 10.5v6M13.5 10.5v6',
  copy: 'M9 9h11v11H9zM15 9V4H4v11h5',
  good: 'M5 12.5l4.5 4.5L19 7',
  bad: 'M7 7l10 10M17 7L7 17',
  skip: 'M6 6l7 6-7 6zM17 6v12',
  undo: 'M9 7L4.5 11.5 9 16M5 11.5h9a5 5 0 0 1 0 10h-2',
  download: 'M12 4v11M7.5 11L12 15.5 16.5 11M5 20h14',
  hide: 'M4 4l16 16M9.9 5.2A10 10 0 0 1 12 5c5 0 8.5 4.5 9.5 7-.4 1-1.2 2.3-2.4 3.5M6.2 7C4.3 8.4 3 10.4 2.5 12c1 2.5 4.5 7 9.5 7 1.6 0 3-.4 4.3-1.1M9.9 9.9a3 3 0 0 0 4.2 4.2',
  heat: 'M12 3c1 4 5 5.5 5 10.5a5 5 0 0 1-10 0c0-2 1-3 1.8-4 .3 1.4 1 2 1.7 2.3C10.3 8.6 11 5 12 3z',
  inside: 'M4 4h16v16H4zM9.5 9h5v5h-5z',
  box: 'M4 8V4h4M16 4h4v4M20 16v4h-4M8 20H4v-4M9 12h6M12 9v6',
  filter: 'M4 6h16M7 12h10M10 18h4',
  sites: 'M4 9h9v9H4zM9 9V5h10v10h-6',
  save: 'M6 4h12v16l-6-4.5L6 20z',
  more: 'M4.5 12h2M11 12h2M17.5 12h2',
  help: 'M9 9a3 3 0 1 1 4 2.8c-.8.4-1 1-1 2.2M12 17.5h.01',
};

export function icon(name) {
  const svg = document.createElementNS('http://www.w3.org/2000/svg', 'svg');
  svg.setAttribute('viewBox', '0 0 24 24');
  svg.setAttribute('class', 'lk-icon');
  svg.setAttribute('aria-hidden', 'true');
  const path = document.createElementNS('http://www.w3.org/2000/svg', 'path');
  path.setAttribute('d', ICONS[name]);
  svg.append(path);
  return svg;
}

// A button with nothing but an icon; its label is also its title, unless `attributes` say otherwise.
export function iconButton(name, label, onclick, attributes = {}) {
  const usual = { class: 'lk-ghost', type: 'button', title: label, 'aria-label': label, onclick };
  return h('button', { ...usual, ...attributes }, icon(name));
}

export async function copyText(text) {
  if (navigator.clipboard && window.isSecureContext) return navigator.clipboard.writeText(text);
  const area = h('textarea', { class: 'lk-offscreen', 'aria-hidden': 'true' });
  area.value = text;
  document.body.append(area);
  area.select();
  document.execCommand('copy');
  area.remove();
}

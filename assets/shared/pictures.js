import { h } from './dom.js';

// A chip's picture in a gallery; `eager` for those that are in sight at first.
export const chipPicture = (src, { eager = false, alt = '' } = {}) =>
  h('img', { src, alt, loading: eager ? 'eager' : 'lazy', width: 256, height: 256 });

import { h, icon } from './dom.js';

// The way back to the view before.
export const backLink = (words, onclick) =>
  h('button', { class: 'lk-link', type: 'button', onclick }, icon('back'), words);

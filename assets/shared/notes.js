// What is being waited for, for the row above the map; what went wrong, over the map.
import { h } from './dom.js';
import { problemNote } from './problem.js';
import { stopAll } from './stops.js';

export function createNotes({ root, store }) {
  const busy = h('span', { class: 'lk-busy', role: 'status' });
  const note = h('div', { class: 'lk-problem', role: 'alert' });
  root.querySelector('.lk-map-pane').append(note);
  const stops = [
    store.watch(['busy'], (state) => busy.replaceChildren(...words(state.busy))),
    store.watch(['problem'], ({ problem }) => drawProblem(note, problem, store)),
  ];
  return {
    busy,
    stop() {
      stopAll(stops);
      note.remove();
    },
  };
}

const words = (text) => (text ? [h('span', { class: 'lk-dot' }), text] : []);

function drawProblem(note, problem, store) {
  note.hidden = !problem;
  if (!problem) return note.replaceChildren();
  return note.replaceChildren(...problemNote(problem, () => store.set({ problem: null })));
}

// The tray: one window after another to be judged, by button or key; it moves on by itself.
import { h, icon } from '../../shared/dom.js';
import { formatPlace } from '../../shared/format.js';

export function drawTray(tray, { judging, asked, judged, marks, exhausted }, { actions, service, map }) {
  tray.hidden = !judging;
  if (!judging) return tray.replaceChildren();
  const [found] = asked;
  const none = exhausted && !found;
  const labels = [...marks.values()];
  const count = (label) => labels.filter((mark) => mark === label).length;
  const act = (name, words, key, label) =>
    h('button', { class: 'lk-button', type: 'button', disabled: !found, title: `${words} (${key})`, onclick: () => actions.judge(label) }, icon(name), words);
  const counts = `${count('good')} good, ${count('bad')} bad`;
  if (found) map?.reveal(found);
  return tray.replaceChildren(
    h('div', { class: 'lk-row' },
      h('strong', {}, none ? 'All judged' : 'Is this a match?'),
      h('span', { class: 'lk-push' }),
      h('span', { class: 'lk-marked', role: 'status' }, counts),
      h('button', { class: `lk-button${none ? ' lk-primary' : ''}`, type: 'button', onclick: actions.closeTray }, 'Done')),
    found
      ? h('figure', { class: 'lk-tray-picture' },
          h('img', { src: service.picture(found, 2.5, 320), alt: `The place at ${formatPlace(found.lon, found.lat)}`, width: 320, height: 320 }),
          h('span', { class: 'lk-tray-window', 'aria-hidden': 'true' }))
      : none
        ? h('p', { class: 'lk-muted', role: 'status' }, 'Nothing is left to judge. Done ranks the objects by your marks.')
        : h('div', { class: 'lk-skeleton lk-tray-picture', 'aria-hidden': 'true' }),
    h('div', { class: 'lk-row' },
      ...(none ? [] : [act('good', 'Good', 'G', 'good'), act('bad', 'Bad', 'B', 'bad'), act('skip', 'Skip', 'S', 'skip')]),
      h('span', { class: 'lk-push' }),
      h('button', { class: 'lk-button', type: 'button', disabled: !judged.length, title: 'Undo (U)', onclick: actions.unjudge }, icon('undo'), 'Undo')),
  );
}

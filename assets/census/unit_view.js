// A unit, large: its picture with surroundings, its border, and a dot on each thing that was clicked.
import { h } from '../shared/dom.js';
import { beginWork, later } from '../shared/idle.js';
import { frameOf, inside, nearest, pixelAt, placeOf } from './geometry.js';

const SVG = 'http://www.w3.org/2000/svg';
const AGAIN = 3000;
const REACH = 14; // CSS pixels around a dot that take it away again
const NARROW = matchMedia('(max-width: 760px)');

const around = () => (NARROW.matches ? 0.15 : 0.3);
const SIZE = 1024;

// `onPoints(points)` hears of the things, in pixels of the scene; `onOutside()` of a click beyond the border.
export function createUnitView(censuses, { onPoints, onOutside }) {
  const picture = h('img', { alt: 'Unit to judge', width: SIZE, height: SIZE, draggable: 'false' });
  const border = svg('svg', { viewBox: '0 0 1 1', preserveAspectRatio: 'none', 'aria-hidden': 'true' });
  const dots = h('div', { class: 'lk-dots' });
  const element = h('figure', { class: 'lk-unit' }, picture, border, dots);
  const share = around();
  let unit = null;
  let points = [];
  let ended = () => {}; // the wait for the picture

  element.addEventListener('click', ({ clientX, clientY }) => {
    if (!unit) return;
    const { left, top, width, height } = element.getBoundingClientRect();
    const place = [(clientX - left) / width, (clientY - top) / height];
    const frame = frameOf(unit, share);
    const taken = nearest(points.map((at) => placeOf(frame, at)), place, REACH / width);
    if (taken >= 0) return onPoints(points.filter((_, k) => k !== taken));
    const at = pixelAt(frame, place);
    return inside(unit.outline, at) ? onPoints([...points, at]) : onOutside();
  });

  const source = (of) => `${censuses.picture(of, SIZE)}&around=${share}`;

  function load() {
    ended();
    ended = beginWork('the picture of a unit');
    element.classList.add('lk-loading');
    picture.src = source(unit);
  }

  picture.addEventListener('load', () => {
    element.classList.remove('lk-loading');
    ended();
  });
  picture.addEventListener('error', () => {
    ended();
    ended = later('a picture to be asked for again', AGAIN, load);
  });

  // Beyond the border it is darker; the border itself is bright on dark, to stand out from any ground.
  function drawBorder() {
    const frame = frameOf(unit, share);
    const path = unit.outline
      .map((ring) => `M${ring.map((at) => placeOf(frame, at).map((v) => v.toFixed(5)).join(' ')).join('L')}Z`)
      .join('');
    border.replaceChildren(
      svg('path', { d: `M0 0H1V1H0Z${path}`, class: 'lk-beyond', 'fill-rule': 'evenodd' }),
      svg('path', { d: path, class: 'lk-border-dark' }),
      svg('path', { d: path, class: 'lk-border' }),
    );
  }

  return {
    element,
    show(next, clicked) {
      if (unit?.id !== next.id) {
        unit = next;
        element.dataset.unit = unit.id;
        load();
        drawBorder();
      }
      points = clicked;
      const frame = frameOf(unit, share);
      dots.replaceChildren(
        ...points.map((at, k) => {
          const dot = h('span', { class: 'lk-thing' }, String(k + 1));
          [dot.style.left, dot.style.top] = placeOf(frame, at).map((v) => `${100 * v}%`);
          return dot;
        }),
      );
    },
    preload: (of) => (new Image().src = source(of)),
    // A picture that did not come is asked for again.
    stop: () => ended(),
  };
}

function svg(tag, attributes) {
  const made = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  return made;
}

// A box drawn with keys alone: it begins in the middle of the map; arrows move it, Shift and arrows
// size it.
import { DRAWN } from '../map/colours.js';
import { h } from '../shared/dom.js';
import { formatExtent } from '../shared/format.js';

const DASHED = { ...DRAWN, dashArray: '7 5', interactive: false };
const STEP = 12; // pixels of the screen
const LEAST = 24;
const HOW = 'Arrows move it, Shift+arrows resize it, Enter searches, Esc cancels.';

export function createKeyboardBox(map, pane) {
  let shape = null;
  const size = h('b', {});
  const hint = h('div', { class: 'lk-pill lk-key-box', role: 'status', hidden: true }, size, ` ${HOW}`);
  pane.append(hint);

  function begin() {
    const { x, y } = map.getSize();
    const half = Math.min(x, y) / 8;
    shape = window.L.rectangle(onGround([x / 2, y / 2], [half, half]), DASHED).addTo(map);
    tell();
  }

  const onGround = ([x, y], [width, height]) =>
    window.L.latLngBounds(
      map.containerPointToLatLng([x - width, y - height]),
      map.containerPointToLatLng([x + width, y + height]),
    );

  // One step east and north: of the whole box, or of its width and height.
  function adjust([east, north], sizing) {
    const bounds = shape.getBounds();
    const [low, high] = [bounds.getSouthWest(), bounds.getNorthEast()].map((at) =>
      map.latLngToContainerPoint(at),
    );
    const middle = [(low.x + high.x) / 2, (low.y + high.y) / 2];
    const half = [(high.x - low.x) / 2, (low.y - high.y) / 2];
    const [by, least] = [STEP / 2, LEAST / 2];
    const to = sizing ? middle : [middle[0] + STEP * east, middle[1] - STEP * north];
    const grown = [half[0] + by * east, half[1] + by * north].map((v) => Math.max(v, least));
    shape.setBounds(onGround(to, sizing ? grown : half));
    map.panInside(shape.getBounds().getCenter(), { padding: [40, 40], animate: false });
    tell();
  }

  function tell() {
    hint.hidden = false;
    const b = shape.getBounds();
    size.textContent = formatExtent([b.getWest(), b.getSouth(), b.getEast(), b.getNorth()]);
  }

  function stop() {
    shape?.remove();
    shape = null;
    hint.hidden = true;
  }

  return {
    begin,
    adjust,
    stop,
    bounds: () => shape?.getBounds(),
    end() {
      stop();
      hint.remove();
    },
  };
}

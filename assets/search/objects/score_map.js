// The score map over the imagery, coloured in the browser; what lies below the minimum score is
// dimmed and its edge drawn, without a request when the slider moves.
import { h } from '../../shared/dom.js';
import { formatScore } from '../../shared/format.js';
import { beginWork } from '../../shared/idle.js';
import { viridis } from '../../shared/viridis.js';

const OPACITY = 'lookalike:score-map-opacity';
const COLOURS = Array.from({ length: 256 }, (_, k) =>
  viridis((k - 1) / 254).match(/\d+/g).map(Number),
);

export function drawScoreMap(L, map, { store, service, data, root }) {
  const scale = h('div', { class: 'lk-legend-scale', role: 'img' });
  const legend = h('div', { class: 'lk-legend', hidden: true }, scale, opacityField(map.getPane('lk-scores')));
  root.querySelector('.lk-map-pane').append(legend);
  const layers = new Map(); // by token and scene
  let token = '';

  const cutOf = ({ minScore, answer }) => {
    const [low, high] = answer.score_range;
    return 1 + (254 * (minScore - low)) / Math.max(high - low, 1e-9);
  };
  const draw = (state) => {
    const { scoreMap, answer } = state;
    const wanted = scoreMap && answer ? answer.score_map : '';
    if (wanted !== token) {
      for (const layer of layers.values()) layer.remove();
      layers.clear();
      token = wanted;
      for (const scene of wanted ? data.collection.scenes : []) {
        layers.set(scene.id, scoreLayer(L, service.scoreTiles(wanted, scene.id), scene.bounds).addTo(map));
      }
    }
    legend.hidden = !wanted;
    if (!wanted) return;
    for (const layer of layers.values()) layer.cut(cutOf(state));
    drawLegend(scale, answer.score_range);
  };
  const stop = store.watch(['scoreMap', 'answer', 'minScore'], draw);
  return () => {
    stop();
    legend.remove();
  };
}

// How opaque the map is, remembered in the browser.
function opacityField(pane) {
  const kept = Number.parseFloat(localStorage.getItem(OPACITY));
  const range = h('input', { type: 'range', min: 0.1, max: 1, step: 0.05, 'aria-label': 'Score map opacity', title: 'Opacity' });
  range.value = kept >= 0.1 && kept <= 1 ? kept : 0.75;
  const show = () => (pane.style.opacity = range.value);
  range.addEventListener('input', show);
  range.addEventListener('change', () => localStorage.setItem(OPACITY, range.value));
  show();
  return range;
}

function drawLegend(legend, [low, high]) {
  const bar = h('span', { class: 'lk-legend-bar' });
  const stops = Array.from({ length: 9 }, (_, k) => viridis(k / 8)).join(', ');
  bar.style.background = `linear-gradient(90deg, ${stops})`;
  legend.replaceChildren(
    h('span', { class: 'lk-wide' }, 'Score'), h('span', {}, formatScore(low)), bar, h('span', {}, formatScore(high)),
  );
  legend.setAttribute('aria-label', `Score from ${formatScore(low)} (dark) to ${formatScore(high)} (yellow)`);
}

function scoreLayer(L, address, [west, south, east, north]) {
  let cut = 0;
  const Layer = L.GridLayer.extend({
    createTile({ x, y, z }, done) {
      const canvas = document.createElement('canvas');
      canvas.width = canvas.height = 256;
      const ended = beginWork('a tile of the score map');
      const image = new Image();
      image.onload = () => {
        const pen = canvas.getContext('2d', { willReadFrequently: true });
        pen.drawImage(image, 0, 0);
        const grey = pen.getImageData(0, 0, 256, 256).data;
        canvas.grey = Uint8Array.from({ length: 65_536 }, (_, k) => (grey[4 * k + 3] ? grey[4 * k] : 0));
        colour(canvas, cut);
        ended();
        done(null, canvas);
      };
      image.onerror = () => {
        ended();
        done(null, canvas);
      };
      image.src = `${address}/${z}/${x}/${y}.png`;
      return canvas;
    },
    cut(value) {
      cut = value;
      for (const { el } of Object.values(this._tiles ?? {})) colour(el, cut);
    },
  });
  return new Layer({
    pane: 'lk-scores', bounds: [[south, west], [north, east]], maxNativeZoom: 20, maxZoom: 22, updateWhenZooming: false,
  });
}

function colour(canvas, cut) {
  const { grey } = canvas;
  if (!grey) return;
  const pen = canvas.getContext('2d', { willReadFrequently: true });
  const image = pen.createImageData(256, 256);
  const { data } = image;
  for (let k = 0; k < grey.length; k++) {
    const value = grey[k];
    if (!value) continue;
    const above = value >= cut;
    const right = k % 256 < 255 ? grey[k + 1] : value;
    const below = k < 65_280 ? grey[k + 256] : value;
    const edge = (right && right >= cut !== above) || (below && below >= cut !== above);
    const [red, green, blue] = edge ? [255, 255, 255] : COLOURS[value];
    data.set([red, green, blue, edge ? 255 : above ? 215 : 90], 4 * k);
  }
  pen.clearRect(0, 0, 256, 256);
  pen.putImageData(image, 0, 0);
}

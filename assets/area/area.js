// The Area page's map: draw, edit and delete an outline over the imagery it is meant for.
import { createBaseMap } from '../map/base_map.js';
import { loadDraw } from '../map/leaflet.js';
import { h } from '../shared/dom.js';
import { beginWork, expose } from '../shared/idle.js';
import { createMount } from '../shared/mount.js';
import { problemText } from '../shared/problem.js';
import { keepDraft, keepShape } from './draft.js';
import { drawArea } from './map.js';
import { createMessages } from './messages.js';

export const mount = createMount('.lk-area', start);

function start(root, data, send) {
  const messages = createMessages(send, data);
  const element = root.querySelector('.lk-map');
  let latest = data;
  let area = null;
  const drawn = beginWork('the map'); // which a page left at once never draws
  expose({});

  function changed(geometry) {
    keepShape(geometry);
    messages.send('drawn', { geometry });
  }

  const map = createBaseMap(element, {
    basemap: data.basemap,
    options: { minZoom: 1, worldCopyJump: true },
    // A map created in a box without a size shows another view than requested.
    leaflet: Promise.all([loadDraw(), whenSized(element)]).then(([L]) => L),
    followSize: (leaflet) => () => leaflet.invalidateSize({ animate: false }),
    draw(L, leaflet) {
      area = drawArea(L, leaflet, latest, changed);
      area.update(latest);
      root.dataset.state = 'live';
      expose({ map, outline: area.outline });
      return area.stops;
    },
    fail: (problem) =>
      root.append(h('div', { class: 'lk-area-problem', role: 'alert' }, problemText(problem))),
  });
  map.drawn.finally(drawn);
  return {
    update(newer) {
      messages.acknowledge(newer.heard);
      keepDraft(newer, messages);
      latest = newer;
      area?.update(newer);
    },
    stop() {
      root.dataset.state = 'loading';
      drawn();
      messages.stop();
      map.stop();
    },
  };
}

function whenSized(element) {
  return new Promise((settled) => {
    const observer = new ResizeObserver(() => {
      if (element.clientHeight < 100 || element.clientWidth < 100) return;
      observer.disconnect();
      settled();
    });
    observer.observe(element);
  });
}

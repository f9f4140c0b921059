// Drawing on the map: a box to search by, a polygon that results must lie in.
import { DRAWN } from '../map/colours.js';
import { DRAWING_HINTS } from '../map/drawing_hints.js';
import { loadDraw, takeTouches } from '../map/leaflet.js';
import { h, TOUCH } from '../shared/dom.js';
import { later } from '../shared/idle.js';
import { createKeyboardBox } from './keyboard_box.js';

// An outline is a polygon to search by, a polygon one that results must lie in.
const KINDS = { box: 'Rectangle', polygon: 'Polygon', outline: 'Polygon' };
const NARROW = matchMedia('(max-width: 760px)');

export function createDrawing(map, { store, actions, root }) {
  const keyBox = createKeyboardBox(map, root.querySelector('.lk-map-pane'));
  let tool = null;
  let turn = 0; // of drawings that were begun or stopped
  const how = h('output', { class: 'lk-pill', hidden: true });
  map.getContainer().parentElement.append(how);

  async function begin(kind) {
    if (tool || store.state.drawing) return stop();
    // On a phone the filters take the place in which one would draw.
    if (NARROW.matches) store.set({ panel: false });
    // A click while the tools are loading is not one that searches.
    store.set({ drawing: 'loading', cursor: null, hovered: -1 });
    const mine = (turn += 1);
    try {
      const L = await loadDraw();
      if (turn !== mine) return undefined; // stopped meanwhile
      takeTouches(L, map);
      const options = { shapeOptions: DRAWN, showArea: false, metric: true };
      tool = new L.Draw[KINDS[kind]](map, options);
      tool.enable();
      map.getContainer().classList.add('lk-drawing');
      how.textContent = DRAWING_HINTS[KINDS[kind]];
      how.hidden = !TOUCH;
      return store.set({ drawing: kind });
    } catch (error) {
      if (turn !== mine) return undefined;
      const remedy = error.message;
      return store.set({ drawing: '', problem: { title: 'The drawing tools failed to load', remedy } });
    }
  }

  // The same by keys: a box in the middle, to be moved and sized.
  function beginKeys() {
    if (store.state.drawing) return stop();
    keyBox.begin();
    return store.set({ drawing: 'keys', cursor: null, hovered: -1 });
  }

  function takeKeys() {
    const box = edges(keyBox.bounds());
    stop();
    actions.search({ box });
  }

  function stop() {
    turn += 1;
    if (store.state.drawing === 'keys') keyBox.stop();
    if (['keys', 'loading'].includes(store.state.drawing)) return store.set({ drawing: '' });
    tool?.disable();
    tool = null;
    map.getContainer().classList.remove('lk-drawing');
    how.hidden = true;
    // The click that ends a drawing is not one that searches.
    return later('the end of a drawing', 50, () => tool || store.set({ drawing: '' }));
  }

  function take(kind, layer) {
    if (kind === 'box') return actions.search({ box: edges(layer.getBounds()) });
    if (kind === 'outline') return actions.search({ polygon: layer.toGeoJSON().geometry });
    return actions.setFilters({ within: layer.toGeoJSON().geometry });
  }

  const created = ({ layer }) => {
    const kind = store.state.drawing;
    stop();
    take(kind, layer);
  };
  const ended = () => tool && stop();
  map.on('draw:created', created).on('draw:drawstop', ended);
  return {
    begin,
    beginKeys,
    takeKeys,
    adjust: keyBox.adjust,
    keyBounds: () => keyBox.bounds() && edges(keyBox.bounds()),
    stop,
    // What the map shows, a little inside its edge; the way without a pointer.
    view: () => view(map),
    end() {
      stop();
      keyBox.end();
      how.remove();
      map.off('draw:created', created).off('draw:drawstop', ended);
    },
  };
}

const edges = (bounds) => [
  bounds.getWest(),
  bounds.getSouth(),
  bounds.getEast(),
  bounds.getNorth(),
];

function view(map) {
  const [west, south, east, north] = edges(map.getBounds().pad(-0.04));
  const ring = [
    [west, south],
    [east, south],
    [east, north],
    [west, north],
    [west, south],
  ];
  return { type: 'Polygon', coordinates: [ring] };
}

// Drawing on the map: a box to search by, a polygon that results must lie in.
import { h } from './dom.js';
import { loadDraw } from './leaflet.js';

const LINE = { color: '#22d3ee', weight: 3, fillColor: '#22d3ee', fillOpacity: 0.1 };
const KINDS = { box: 'Rectangle', polygon: 'Polygon' };
const HOW = { box: 'Drag over it', polygon: 'Tap each corner, then the first one again' };
const NARROW = matchMedia('(max-width: 760px)');

export function createDrawing(map, { store, actions }) {
  let tool = null;
  let stopped = false;
  const how = h('p', { class: 'lk-how', role: 'status' }); // for fingers; a mouse has a tooltip
  map.getContainer().parentElement.append(how);

  async function begin(kind) {
    if (tool) return stop();
    // On a phone the filters take the place in which one would draw.
    if (NARROW.matches) store.set({ panel: false });
    try {
      const L = await loadDraw();
      if (stopped) return undefined;
      const options = { shapeOptions: LINE, showArea: false, metric: true };
      tool = new L.Draw[KINDS[kind]](map, options);
      tool.enable();
      map.getContainer().classList.add('lk-drawing');
      how.textContent = HOW[kind];
      return store.set({ drawing: kind, cursor: null, hovered: -1 });
    } catch (error) {
      const remedy = error.message;
      return store.set({ trouble: { title: 'The drawing tools did not load', remedy } });
    }
  }

  function stop() {
    tool?.disable();
    tool = null;
    map.getContainer().classList.remove('lk-drawing');
    how.textContent = '';
    // The click that ends a drawing is not one that searches.
    setTimeout(() => !tool && store.set({ drawing: '' }), 50);
  }

  function take(kind, layer) {
    if (kind === 'box') return actions.search({ box: edges(layer.getBounds()) });
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
    stop,
    // What the map shows, a little inside its edge; the way without a pointer.
    view: () => view(map),
    middle: () => edges(map.getBounds().pad(-0.35)),
    end() {
      stopped = true;
      stop();
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

// The area's outline on the map: drawn here, or sent by the page; always ready to be edited.
import { DRAWN } from '../map/colours.js';
import { DRAWING_HINTS } from '../map/drawing_hints.js';
import { TOUCH } from '../shared/dom.js';

const EDITABLE = 120; // an outline with more corners than this is shown without handles

// `label` shows its size; `changed` is called with each new geometry.
export function createOutline(L, map, label, changed) {
  const group = L.featureGroup().addTo(map);
  let stamp = null;
  let tool = null;

  const report = () => {
    const layer = group.getLayers()[0];
    changed(layer ? asGeometry(group.toGeoJSON()) : null);
    measure();
  };
  const measure = (shape = group) => {
    const size = shape ? squareKilometres(L, shape) : 0;
    label.textContent = size ? formatArea(size) : '';
    label.hidden = !size;
  };
  const put = (layer) => {
    group.addLayer(layer);
    if (countCorners(layer) <= EDITABLE) layer.editing?.enable();
    layer.on('edit', report);
  };
  const clear = () => {
    group.eachLayer((layer) => layer.editing?.disable());
    group.clearLayers();
  };
  const stopTool = () => {
    tool?.disable();
    tool = null;
    map.getContainer().classList.remove('lk-drawing');
  };
  const draw = (kind) => {
    stopTool();
    const options = { shapeOptions: DRAWN, showArea: false, metric: true, allowIntersection: true };
    tool = new L.Draw[kind](map, options);
    tool.enable();
    map.getContainer().classList.add('lk-drawing');
    map.getContainer().focus();
    if (TOUCH) {
      label.textContent = DRAWING_HINTS[kind];
      label.hidden = false;
    }
  };

  map.on('draw:created', ({ layer }) => {
    stopTool();
    clear();
    put(layer);
    report();
  });
  map.on('draw:drawstop', () => {
    map.getContainer().classList.remove('lk-drawing');
    measure();
  });
  map.on('draw:editvertex draw:editresize draw:editmove', () => measure());
  const onMove = () => {
    // Leaflet.draw keeps the rectangle in the making here.
    if (tool?._shape?.getBounds?.().isValid()) measure(tool._shape);
  };
  map.on('mousemove', onMove);

  return {
    draw,
    // The rectangle that the map shows, a little inside its edge.
    takeView() {
      stopTool();
      clear();
      put(L.rectangle(map.getBounds().pad(-0.12), DRAWN));
      report();
    },
    remove() {
      stopTool();
      clear();
      report();
    },
    isEmpty: () => !group.getLayers().length,
    geometry: () => (group.getLayers().length ? asGeometry(group.toGeoJSON()) : null),
    show({ shape, shape_stamp: now, size }) {
      if (now !== stamp) {
        stamp = now;
        clear();
        if (shape) editableLayers(L, shape).forEach(put);
        measure();
      }
      if (size && !tool) label.textContent = size;
    },
    stop: () => stopTool(),
  };
}

// A shape as layers that can be edited: a rectangle as one, each part of a multipolygon by itself.
function editableLayers(L, shape) {
  const rings = shape.type === 'MultiPolygon' ? shape.coordinates : [shape.coordinates];
  return rings.map((polygon) => {
    const turned = polygon.map((ring) => ring.slice(0, -1).map(([lon, lat]) => [lat, lon]));
    const [outer] = turned;
    if (turned.length === 1 && isRectangle(outer)) return L.rectangle(outer, DRAWN);
    return L.polygon(turned, DRAWN);
  });
}

function isRectangle(ring) {
  if (ring.length !== 4) return false;
  const [lats, lons] = [0, 1].map((axis) => new Set(ring.map((corner) => corner[axis])));
  return lats.size === 2 && lons.size === 2;
}

function countCorners(layer) {
  return layer.getLatLngs().flat(Infinity).length;
}

function asGeometry({ features }) {
  if (features.length === 1) return features[0].geometry;
  return { type: 'MultiPolygon', coordinates: features.map(({ geometry }) => geometry.coordinates) };
}

// The sphere of leaflet-draw has the equator's radius; this one has the Earth's surface.
const SURFACE = (6371007.2 / 6378137) ** 2;

// km² on a sphere, near enough while the hand moves; the page then says it on the ellipsoid.
function squareKilometres(L, shape) {
  if (shape.eachLayer) {
    let total = 0;
    shape.eachLayer((layer) => (total += squareKilometres(L, layer)));
    return total;
  }
  const rings = shape.getLatLngs();
  const [outer, ...holes] = Array.isArray(rings[0]) ? rings : [rings];
  const size = (ring) => (L.GeometryUtil.geodesicArea(ring) * SURFACE) / 1e6;
  return holes.reduce((left, hole) => left - size(hole), size(outer));
}

function formatArea(size) {
  const digits = size < 10 ? 2 : size < 100 ? 1 : 0;
  const [whole, rest] = size.toFixed(digits).split('.');
  const spaced = whole.replace(/\B(?=(\d{3})+$)/g, '\u2009');
  return `${spaced}${rest ? `.${rest}` : ''} km²`;
}

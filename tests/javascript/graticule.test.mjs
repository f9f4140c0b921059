// Figures at the lines of longitude and latitude.
import assert from 'node:assert/strict';
import test from 'node:test';

import { L } from './page.mjs';
import { graticule } from '../../assets/area/graticule.js';

// Figures at the lower and the right edge of a map of these bounds and this width.
function figures([west, south, east, north], width = 700) {
  const added = [];
  const leaflet = {
    ...L,
    layerGroup: () => ({
      addTo() {
        return this;
      },
      clearLayers: () => (added.length = 0),
      addLayer: (layer) => added.push(layer),
    }),
    polyline: () => null,
    divIcon: ({ html }) => html,
    marker: (_, { icon }) => icon,
  };
  const map = {
    createPane: () => ({ style: {} }),
    getBounds: () => ({
      getWest: () => west,
      getSouth: () => south,
      getEast: () => east,
      getNorth: () => north,
    }),
    getSize: () => ({ x: width }),
    on() {},
    off() {},
  };
  graticule(leaflet, map);
  const edge = (side) =>
    added.filter((mark) => mark?.attributes.class === side).map(({ children }) => children[0]);
  return { lower: edge('lk-south'), right: edge('lk-east') };
}

test('sides of the Earth are named; the equator and Greenwich are on none', () => {
  const { lower, right } = figures([-21, -11, 21, 11]);
  assert.deepEqual(lower, ['20°W', '10°W', '0°', '10°E', '20°E']);
  assert.deepEqual(right, ['10°S', '0°', '10°N']);
});

test('lines that stand close have as many digits as tell them apart', () => {
  const { lower } = figures([-122.0105, 37, -122, 37.01]);
  assert.deepEqual(lower, ['122.010°W', '122.005°W', '122.000°W']);
});

test('the figures go on in order across the antimeridian', () => {
  assert.deepEqual(figures([165, 0, 205, 1]).lower, ['170°E', '180°W', '170°W', '160°W']);
});

test('longitudes stay within 180° however far the map was moved', () => {
  const whole = figures([-900, -80, 900, 80]).lower;
  assert.ok(whole.length > 10);
  for (const words of whole) assert.ok(Number.parseFloat(words) <= 180, words);
  assert.deepEqual(figures([-741, 0, -699, 1]).lower, figures([-21, 0, 21, 1]).lower);
});

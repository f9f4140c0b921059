// Which chip lies under a point, nearest to it, or next in a direction; and what is drawn of them.
import assert from 'node:assert/strict';
import test from 'node:test';

import { L } from './page.mjs';
import {
  centre, chipAt, covered, inTile, nearest, neighbour, readFootprints, ring, trace,
} from '../../assets/map/footprints.js';
import { chipGrid } from '../../assets/search/chip_grid.js';

const EAST = [1, 0];
const WEST = [-1, 0];
const NORTH = [0, 1];
const SOUTH = [0, -1];

// A chip from its upper left corner, or from all four.
const square = (west, north, side = 1) => [
  west, north, west + side, north, west + side, north - side, west, north - side,
];
const read = (...chips) => readFootprints(new Float64Array(chips.flat()).buffer);

// Rows 0 to 8: three by three chips of a degree, from the north-west, row by row.
const grid = (west = 10, north = 50) =>
  read(...[0, 1, 2].flatMap((down) => [0, 1, 2].map((along) => square(west + along, north - down))));

test('a chip has its corners as the map wants them and its centre', () => {
  const chips = grid();
  assert.equal(chips.total, 9);
  assert.deepEqual(ring(chips, 0), [[50, 10], [50, 11], [49, 11], [49, 10]]);
  assert.deepEqual(centre(chips, 4), { lon: 11.5, lat: 48.5 });
});

test('a point finds the chip that it lies on, and none outside', () => {
  const chips = grid();
  assert.equal(chipAt(chips, 10.5, 49.5), 0);
  assert.equal(chipAt(chips, 11.9, 48.1), 4);
  assert.equal(chipAt(chips, 12.99, 47.01), 8);
  for (const [lon, lat] of [[9.99, 49.5], [13.01, 49.5], [11, 50.01], [11, 46.99], [-168, 49]]) {
    assert.equal(chipAt(chips, lon, lat), null, `${lon} ${lat}`);
  }
});

test('among overlapping chips a point finds the one whose centre is nearest', () => {
  const chips = read(square(10, 50), square(10.5, 50), square(10.5, 50));
  assert.equal(chipAt(chips, 10.6, 49.5), 0);
  assert.equal(chipAt(chips, 10.9, 49.5), 1);
});

test('a turned chip is found by its own outline, not by the box around it', () => {
  const chips = read([10, 51, 11, 50, 10, 49, 9, 50]);
  assert.equal(chipAt(chips, 10, 50), 0);
  assert.equal(chipAt(chips, 9.1, 50.9), null);
  assert.ok(covered(chips, 0, 10.4, 50.4));
  assert.ok(!covered(chips, 0, 10.9, 50.9));
});

test('no chips, and no point, find nothing', () => {
  const none = read();
  assert.equal(none.total, 0);
  assert.equal(chipAt(none, 0, 0), null);
  assert.equal(nearest(none, 0, 0), null);
  assert.deepEqual([...inTile(none, { x: 0, y: 0, z: 0 }, 256)], []);
  assert.equal(chipAt(grid(), NaN, NaN), null);
  assert.equal(nearest(grid(), NaN, 49), null);
});

test('chips at the poles have a finite place on the map', () => {
  const chips = read(square(0, 90), square(0, -89));
  assert.ok(chips.world.every(Number.isFinite));
  assert.equal(chipAt(chips, 0.5, 89.1), 0);
  assert.equal(nearest(chips, 0.5, 89), 0);
});

test('the nearest chip is the one whose centre is, in metres rather than degrees', () => {
  assert.equal(nearest(grid(), 0, 60), 0);
  assert.equal(nearest(grid(), 11.6, 48.4), 4);
  // At 60° north a degree of longitude is half as long as one of latitude.
  const chips = read(square(1, 60.5), square(-0.5, 61.7));
  assert.equal(nearest(chips, 0, 60), 0);
});

test('arrows lead to the next chip in each direction and stay where there is none', () => {
  const chips = grid();
  assert.deepEqual([EAST, WEST, NORTH, SOUTH].map((way) => neighbour(chips, 4, way)), [5, 3, 1, 7]);
  assert.deepEqual([WEST, NORTH].map((way) => neighbour(chips, 0, way)), [0, 0]);
  assert.deepEqual([EAST, SOUTH].map((way) => neighbour(chips, 8, way)), [8, 8]);
});

test('an arrow leads straight on rather than to a nearer chip aside, and never there and back', () => {
  const chips = read(square(10, 50), square(12, 50), square(10.9, 50.7), square(10, 47));
  assert.equal(neighbour(chips, 0, EAST), 1);
  assert.equal(neighbour(chips, 1, WEST), 0);
  assert.equal(neighbour(chips, 0, WEST), 0);
  const same = read(square(10, 50), square(10, 50));
  for (const way of [EAST, WEST, NORTH, SOUTH]) assert.equal(neighbour(same, 0, way), 0);
});

test('chips across the antimeridian are found, stepped over and drawn in one piece', () => {
  const chips = grid(178.5, 1);
  assert.equal(chipAt(chips, 180.2, 0.5), 1);
  assert.equal(chipAt(chips, 181.2, 0.5), 2);
  assert.equal(neighbour(chips, 1, EAST), 2);
  assert.equal(nearest(chips, 181.4, -1.4), 8);
  assert.deepEqual([...inTile(chips, { x: 256, y: 128, z: 8 }, 256)], [1, 2, 4, 5, 7, 8]);
});

test('the grid goes on beyond the antimeridian', () => {
  const outlines = (x) =>
    chipGrid(L, grid(178.5, 1)).drawn({ x, y: 128, z: 8 }).filter(({ name }) => name === 'closePath');
  assert.equal(outlines(255).length, 6);
  assert.equal(outlines(256).length, 6);
  assert.equal(outlines(0).length, 0);
});

test('a tile draws the chips that touch it', () => {
  const chips = grid(10, 50);
  const tile = (lon, z) => ({ x: Math.floor(((lon + 180) / 360) * 2 ** z), y: Math.floor(0.34 * 2 ** z), z });
  assert.equal([...inTile(chips, { x: 0, y: 0, z: 0 }, 256)].length, 9);
  assert.deepEqual([...inTile(chips, tile(100, 5), 256)], []);
  const all = new Set();
  for (let x = 0; x < 256; x++) {
    for (let y = 0; y < 256; y++) for (const row of inTile(chips, { x, y, z: 8 }, 256)) all.add(row);
  }
  assert.equal(all.size, 9);
});

test('a chip is traced within its tile, whole or shrunk round its middle', () => {
  const path = (share) => {
    const at = [];
    const pen = { moveTo: (...to) => at.push(to), lineTo: (...to) => at.push(to), closePath() {} };
    // A chip from the middle of the map to its lower right edge, on the tile there.
    trace(pen, read([0, 0, 180, 0, 180, -60, 0, -60]), 0, { x: 1, y: 1, z: 1 }, 256, share);
    return at.map((to) => to.map(Math.round));
  };
  const [west, south] = [path(1)[0], path(1)[2]];
  assert.deepEqual(west, [0, 0]);
  assert.equal(south[0], 256);
  const half = path(0.5);
  assert.deepEqual(half[0], [64, Math.round(south[1] / 4)]);
  assert.equal(half[1][0] - half[0][0], 128);
});

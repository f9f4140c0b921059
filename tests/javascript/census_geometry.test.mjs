// Places in the picture of a unit: picture, pixels of the scene and degrees, there and back.
import assert from 'node:assert/strict';
import test from 'node:test';

import { frameOf, inside, lonLatOf, nearest, pixelAt, pixelOf, placeOf } from '../../assets/census/geometry.js';

const near = (a, b, by = 1e-9) => a.forEach((value, k) => assert.ok(Math.abs(value - b[k]) < by, `${a} is not ${b}`));
const UNIT = {
  pixels: [256, 512, 256, 100], // lower than wide, at a scene's edge
  corners: [[8, 47.1], [8.02, 47.11], [8.021, 47.1], [8.001, 47.09]],
};

test('the unit is in the middle of its picture, as large as its surroundings leave', () => {
  const frame = frameOf(UNIT, 0.5);
  near(pixelAt(frame, [0.5, 0.5]), [384, 562]);
  near(placeOf(frame, [256, 562]), [0.25, 0.5]);
  near(placeOf(frame, [512, 562]), [0.75, 0.5]);
  near(placeOf(frameOf(UNIT, 0), [256, 512]), [0, 0.5 - 50 / 256]);
  near(placeOf(frame, pixelAt(frame, [0.3, 0.9])), [0.3, 0.9]);
});

test('a corner of the square has the degrees that the server gives it', () => {
  near(lonLatOf(UNIT, [256, 512]), UNIT.corners[0]);
  near(lonLatOf(UNIT, [512, 512]), UNIT.corners[1]);
  near(lonLatOf(UNIT, [512, 612]), UNIT.corners[2]);
  near(lonLatOf(UNIT, [256, 612]), UNIT.corners[3]);
});

test('degrees lead back to their pixel, a turn of the globe away, too', () => {
  for (const at of [[300, 530], [256, 612], [511.5, 600.25]]) {
    const [lon, lat] = lonLatOf(UNIT, at);
    near(pixelOf(UNIT, [lon, lat]), at, 1e-6);
    near(pixelOf(UNIT, [lon - 360, lat]), at, 1e-6);
  }
});

test('only what lies within the border counts: not a hole, not the part that was cut off', () => {
  const square = [[0, 0], [10, 0], [10, 10], [0, 10]];
  const hole = [[4, 4], [4, 6], [6, 6], [6, 4]];
  const other = [[20, 0], [30, 0], [30, 10]];
  assert.ok(inside([square], [5, 5]));
  assert.ok(!inside([square, hole], [5, 5]));
  assert.ok(inside([square, hole], [3, 5]));
  assert.ok(inside([square, other], [28, 2]));
  assert.ok(!inside([square, other], [21, 8]));
  assert.ok(!inside([square], [10.5, 5]));
  assert.ok(inside([[...square, square[0]]], [5, 5])); // a ring that is closed
});

test('a press means the nearest thing within reach', () => {
  const places = [[0.1, 0.1], [0.2, 0.1]];
  assert.equal(nearest(places, [0.16, 0.1], 0.05), 1);
  assert.equal(nearest(places, [0.5, 0.5], 0.05), -1);
  assert.equal(nearest([], [0.5, 0.5], 0.05), -1);
});

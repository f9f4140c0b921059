// Places in the picture of a unit: from 0 to 1 across it, in pixels of the scene, in degrees.

// What a picture shows with its surroundings, a share of the unit's side on each side: the pixel in its
// middle, and how many there are across.
export function frameOf({ pixels: [left, top, width, height] }, around) {
  const side = Math.max(width, height) * (1 + 2 * around);
  return { col: left + width / 2, row: top + height / 2, side };
}

export const pixelAt = ({ col, row, side }, [x, y]) => [col + (x - 0.5) * side, row + (y - 0.5) * side];

export const placeOf = ({ col, row, side }, [c, r]) => [(c - col) / side + 0.5, (r - row) / side + 0.5];

// Within the border; by the even-odd rule, holes and several parts are right, too.
export function inside(rings, [col, row]) {
  let within = false;
  for (const ring of rings) {
    ring.forEach(([x1, y1], k) => {
      const [x2, y2] = ring[(k + 1) % ring.length];
      if (y1 > row !== y2 > row && col < ((x2 - x1) * (row - y1)) / (y2 - y1) + x1) within = !within;
    });
  }
  return within;
}

// The degrees of a pixel, between those of the corners of the unit's square: what the ground's curve
// adds to that is less than a tenth of a pixel in a unit of 10 km.
export function lonLatOf({ pixels: [left, top, width, height], corners }, [col, row]) {
  const [u, v] = [(col - left) / width, (row - top) / height];
  const [a, b, c, d] = corners;
  return [0, 1].map((k) => (1 - v) * ((1 - u) * a[k] + u * b[k]) + v * ((1 - u) * d[k] + u * c[k]));
}

// The pixel of a place in degrees: Newton's method on the above, which is almost linear.
export function pixelOf(unit, [lon, lat]) {
  const { pixels: [left, top, width, height], corners: [a, b, c, d] } = unit;
  const turn = 360 * Math.round((a[0] - lon) / 360);
  let [u, v] = [0.5, 0.5];
  for (let step = 0; step < 4; step++) {
    const at = lonLatOf(unit, [left + u * width, top + v * height]);
    const [x, y] = [lon + turn - at[0], lat - at[1]];
    const along = [0, 1].map((k) => (1 - v) * (b[k] - a[k]) + v * (c[k] - d[k]));
    const down = [0, 1].map((k) => (1 - u) * (d[k] - a[k]) + u * (c[k] - b[k]));
    const size = along[0] * down[1] - along[1] * down[0];
    u += (x * down[1] - y * down[0]) / size;
    v += (along[0] * y - along[1] * x) / size;
  }
  return [left + u * width, top + v * height];
}

// The thing that a press means, of those clicked: within `reach`, a share of the picture's width.
export function nearest(places, [x, y], reach) {
  let found = -1;
  let least = reach;
  places.forEach((place, k) => {
    const far = Math.hypot(place[0] - x, place[1] - y);
    if (far <= least) [found, least] = [k, far];
  });
  return found;
}

// Chip footprints: n quads of longitude and latitude in one Float64Array, in table row order.

// Reads corners (upper left, upper right, lower right, lower left) as the server sends them.
export function readFootprints(buffer) {
  const corners = new Float64Array(buffer);
  const total = corners.length / 8;
  const world = new Float64Array(total * 8);
  const boxes = new Float64Array(total * 4);
  const centres = new Float64Array(total * 2);
  for (let row = 0; row < total; row++) measure(row, corners, world, boxes, centres);
  return { total, corners, world, boxes, centres };
}

function measure(row, corners, world, boxes, centres) {
  let [left, top, right, bottom] = [Infinity, Infinity, -Infinity, -Infinity];
  for (let k = row * 8; k < row * 8 + 8; k += 2) {
    const [x, y] = project(corners[k], corners[k + 1]);
    world[k] = x;
    world[k + 1] = y;
    left = Math.min(left, x);
    right = Math.max(right, x);
    top = Math.min(top, y);
    bottom = Math.max(bottom, y);
    centres[row * 2] += corners[k] / 4;
    centres[row * 2 + 1] += corners[k + 1] / 4;
  }
  boxes.set([left, top, right, bottom], row * 4);
}

// Web Mercator pixels at zoom 0.
function project(lon, lat) {
  const sine = Math.max(-0.9999, Math.min(0.9999, Math.sin((lat * Math.PI) / 180)));
  return [256 * (lon / 360 + 0.5), 256 * (0.5 - Math.log((1 + sine) / (1 - sine)) / (4 * Math.PI))];
}

// Corners of one chip as Leaflet wants them.
export function ring(footprints, row) {
  const { corners } = footprints;
  return [0, 2, 4, 6].map((k) => [corners[row * 8 + k + 1], corners[row * 8 + k]]);
}

export function centre(footprints, row) {
  return { lon: footprints.centres[row * 2], lat: footprints.centres[row * 2 + 1] };
}

// Row of the chip that covers the point and whose centre is nearest to it, or null.
export function chipAt(footprints, lon, lat) {
  const [x, y] = project(lon, lat);
  const { boxes } = footprints;
  let best = null;
  let least = Infinity;
  for (let row = 0; row < footprints.total; row++) {
    const b = row * 4;
    if (x < boxes[b] || x > boxes[b + 2] || y < boxes[b + 1] || y > boxes[b + 3]) continue;
    if (!covers(footprints, row, x, y)) continue;
    const far = distance(footprints, row, lon, lat);
    if (far < least) [best, least] = [row, far];
  }
  return best;
}

// Whether a chip covers a point.
export function covered(footprints, row, lon, lat) {
  return covers(footprints, row, ...project(lon, lat));
}

function covers({ world }, row, x, y) {
  let inside = false;
  for (let j = 0, k = 3; j < 4; k = j++) {
    const [xj, yj] = [world[row * 8 + 2 * j], world[row * 8 + 2 * j + 1]];
    const [xk, yk] = [world[row * 8 + 2 * k], world[row * 8 + 2 * k + 1]];
    if (yj > y !== yk > y && x < ((xk - xj) * (y - yj)) / (yk - yj) + xj) inside = !inside;
  }
  return inside;
}

function distance({ centres }, row, lon, lat) {
  const east = (centres[row * 2] - lon) * Math.cos((lat * Math.PI) / 180);
  return Math.hypot(east, centres[row * 2 + 1] - lat);
}

// Row of the next chip in a direction ([east, north], one of them ±1, the other 0), or the same.
export function neighbour(footprints, row, [east, north]) {
  const from = centre(footprints, row);
  const shrink = Math.cos((from.lat * Math.PI) / 180);
  let best = row;
  let least = Infinity;
  for (let other = 0; other < footprints.total; other++) {
    const dx = (footprints.centres[other * 2] - from.lon) * shrink;
    const dy = footprints.centres[other * 2 + 1] - from.lat;
    const along = dx * east + dy * north;
    const aside = Math.abs(dx * north) + Math.abs(dy * east);
    if (along <= 1e-9 || aside > along) continue;
    const cost = along + 3 * aside;
    if (cost < least) [best, least] = [other, cost];
  }
  return best;
}

// Row of the chip whose centre is nearest to a point.
export function nearest(footprints, lon, lat) {
  let best = null;
  let least = Infinity;
  for (let row = 0; row < footprints.total; row++) {
    const far = distance(footprints, row, lon, lat);
    if (far < least) [best, least] = [row, far];
  }
  return best;
}

// Rows of the chips that touch a tile.
export function* inTile({ total, boxes }, coords, size) {
  const scale = 2 ** coords.z;
  const [left, top] = [coords.x * size, coords.y * size];
  const [x0, y0, x1, y1] = [left - 2, top - 2, left + size + 2, top + size + 2].map(
    (edge) => edge / scale,
  );
  for (let row = 0; row < total; row++) {
    const b = row * 4;
    if (boxes[b] > x1 || boxes[b + 2] < x0 || boxes[b + 1] > y1 || boxes[b + 3] < y0) continue;
    yield row;
  }
}

// Adds a chip, or the middle `share` of it, to the path of a tile.
export function trace(pen, { world }, row, coords, size, share = 1) {
  const scale = 2 ** coords.z;
  const [left, top] = [coords.x * size, coords.y * size];
  const a = row * 8;
  const [mx, my] = [0, 1].map(
    (k) => (world[a + k] + world[a + 2 + k] + world[a + 4 + k] + world[a + 6 + k]) / 4,
  );
  for (let k = 0; k < 8; k += 2) {
    const x = (mx + (world[a + k] - mx) * share) * scale - left;
    const y = (my + (world[a + k + 1] - my) * share) * scale - top;
    if (k) pen.lineTo(x, y);
    else pen.moveTo(x, y);
  }
  pen.closePath();
}

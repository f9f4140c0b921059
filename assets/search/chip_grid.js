// The outline of every chip, as a layer of the map.
import { canvasGrid } from '../map/canvas_grid.js';
import { inTile, trace } from '../map/footprints.js';

// Outlines stroked as one path: the browser's work grows faster than a path does.
const TOGETHER = 64;

export const chipGrid = (L, footprints) =>
  canvasGrid(L, 'lk-grid', (pen, coords, size) => drawTile(pen, footprints, coords, size));

function drawTile(pen, footprints, coords, size) {
  const { boxes } = footprints;
  let width = 0;
  let waiting = 0;
  const stroke = () => {
    pen.lineWidth = width > 24 ? 1 : 0.5;
    pen.stroke();
    pen.beginPath();
    waiting = 0;
  };
  pen.strokeStyle = '#ffffff';
  pen.beginPath();
  for (const row of inTile(footprints, coords, size)) {
    width = (boxes[row * 4 + 2] - boxes[row * 4]) * 2 ** coords.z;
    trace(pen, footprints, row, coords, size);
    if (++waiting === TOGETHER) stroke();
  }
  stroke();
  // Chips share edges, and strokes on one another add up: draw solid, then thin the whole.
  pen.globalCompositeOperation = 'destination-in';
  pen.globalAlpha = width > 96 ? 0.3 : width > 24 ? 0.22 : width > 6 ? 0.14 : 0.07;
  pen.fillRect(0, 0, size, size);
}

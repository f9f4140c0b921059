import { penOf } from '../shared/canvas.js';

// A layer of canvas tiles on which `draw(pen, coords, size)` draws chips: there is no object per chip,
// so any count works.  Tiles are not wrapped: chips across the antimeridian run on beyond ±180°.
export function canvasGrid(L, pane, draw, ratio) {
  const Grid = L.GridLayer.extend({
    createTile(coords) {
      const { x: size } = this.getTileSize();
      const canvas = document.createElement('canvas');
      draw(penOf(canvas, size, size, ratio), coords, size);
      return canvas;
    },
  });
  return new Grid({ pane, noWrap: true, updateWhenZooming: false, maxZoom: 24 });
}

// How to draw, for fingers, which no tooltip follows.
export const DRAWING_HINTS = {
  Rectangle: 'Drag to draw a box',
  Polygon: 'Tap each corner, then tap the first one again',
};

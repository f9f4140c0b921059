// How to draw, for fingers, which no tooltip follows.
export const DRAWING_HINTS = {
  Rectangle: 'Drag over it',
  Polygon: 'Tap each corner, then the first one again',
};

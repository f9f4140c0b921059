// How to draw, for fingers, which no tooltip follows.
export const FINGERS = matchMedia('(pointer: coarse)');
export const HOW = { Rectangle: 'Drag over it', Polygon: 'Tap each corner, then the first one again' };

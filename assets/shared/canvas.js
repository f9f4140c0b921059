// A pen for a canvas of this size in CSS pixels, as sharp as the screen is, or as `ratio` says.
export function penOf(canvas, width, height, ratio = Math.min(window.devicePixelRatio || 1, 2)) {
  canvas.width = width * ratio;
  canvas.height = height * ratio;
  const pen = canvas.getContext('2d');
  if (ratio !== 1) pen.scale(ratio, ratio);
  return pen;
}

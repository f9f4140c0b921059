// Every visible piece of text whose contrast is below WCAG 2.2 AA, as lines of words.
() => {
  const paper = new OffscreenCanvas(1, 1).getContext('2d', { willReadFrequently: true });
  const known = new Map();

  // Any CSS colour as [red, green, blue, alpha]; channels 0 to 255, alpha 0 to 1.
  function read(colour) {
    if (!known.has(colour)) {
      paper.clearRect(0, 0, 1, 1);
      paper.fillStyle = colour;
      paper.fillRect(0, 0, 1, 1);
      const [r, g, b, a] = paper.getImageData(0, 0, 1, 1).data;
      known.set(colour, [r, g, b, a / 255]);
    }
    return known.get(colour);
  }
  const mix = (over, under, share) => over.map((v, i) => v * share + under[i] * (1 - share));
  const lay = ([r, g, b, a], under) => mix([r, g, b], under, a);

  function luminance(rgb) {
    const [r, g, b] = rgb.map((v) => {
      const c = v / 255;
      return c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  }
  function ratio(a, b) {
    const [low, high] = [luminance(a), luminance(b)].sort((x, y) => x - y);
    return (high + 0.05) / (low + 0.05);
  }

  // Ground and ink at the innermost of these elements, from the outermost inwards.
  function painted([element, ...inner], behind, ink) {
    const style = getComputedStyle(element);
    const own = lay(read(style.backgroundColor), behind);
    const [ground, words] = inner.length
      ? painted(inner, own, ink)
      : [own, lay(read(ink ?? style.color), own)];
    const opacity = Number(style.opacity);
    return [mix(ground, behind, opacity), mix(words, behind, opacity)];
  }

  // Over imagery the ground may be anything, so the worse of black and white counts; what lies under
  // the imagery is seen beside it.
  const OVER_IMAGERY = '.lk-map, .lk-map-pane, .lk-pick, .lk-picture-pane';

  const UNDER_IMAGERY = '.leaflet-lk-graticule-pane';

  function contrast(element, ink) {
    const line = [];
    let grounds = [read('canvas').slice(0, 3)];
    const over = element.closest(UNDER_IMAGERY) ? null : element.closest(OVER_IMAGERY);
    for (let e = element; e; e = e.parentElement) {
      if (e === over && e !== element) {
        grounds = [[0, 0, 0], [255, 255, 255]];
        break;
      }
      line.unshift(e);
    }
    const ratios = grounds.map((ground) => {
      const [behind, words] = painted(line, ground, ink);
      return ratio(words, behind);
    });
    return Math.min(...ratios);
  }

  function isSeen(element) {
    if (!element.checkVisibility({ checkOpacity: true, checkVisibilityCSS: true })) return false;
    if (element.closest(':disabled, [aria-disabled=true], .lk-offscreen, [inert]')) return false;
    const { width, height } = element.getBoundingClientRect();
    return width > 1 && height > 1;
  }

  const failing = new Map();
  function judge(element, text, ink, size = getComputedStyle(element)) {
    const pixels = parseFloat(size.fontSize);
    const icon = /Symbols|Icons/.test(size.fontFamily);
    const large = icon || pixels >= 24 || (pixels >= 18.66 && Number(size.fontWeight) >= 700);
    const found = contrast(element, ink);
    if (found >= (large ? 3 : 4.5)) return;
    const named = `${element.tagName.toLowerCase()}.${[...element.classList].slice(0, 3).join('.')}`;
    failing.set(`${found.toFixed(2)} ${named}: ${text.trim().slice(0, 40)}`, true);
  }

  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const { textContent: text, parentElement: element } = walker.currentNode;
    if (!text.trim() || element.closest('script, style, option, svg, canvas')) continue;
    if (isSeen(element)) judge(element, text);
  }
  for (const field of document.querySelectorAll('input, textarea, select')) {
    if (!isSeen(field) || ['checkbox', 'radio', 'range', 'file'].includes(field.type)) continue;
    if (field.value) judge(field, field.value);
    else if (field.placeholder) {
      const style = getComputedStyle(field, '::placeholder');
      judge(field, field.placeholder, style.color, style);
    }
  }
  return [...failing.keys()];
}

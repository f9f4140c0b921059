// The focus, where a part of a page is drawn anew.
const nameOf = (element) => element.getAttribute('aria-label') || element.textContent;

// Draws a part anew and gives the focus back to what has the same name; to the part itself if it
// can no longer be used.
export function keepingFocus(part, draw) {
  const focused = document.activeElement;
  const held = focused === part || part.contains(focused) ? nameOf(focused) : null;
  draw();
  if (held === null || part.contains(document.activeElement)) return;
  const again = [...part.querySelectorAll('button:not(:disabled), a')].find((each) => nameOf(each) === held);
  (again ?? part).focus({ preventScroll: true });
}

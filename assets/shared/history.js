// Back and Forward among the steps that a page keeps to itself.  Streamlit, which would run the page
// anew, does not hear of them: the document asks here first (pages/ui/document.py).

// Whether the address is one of this page.  Before Streamlit has drawn what Back or Forward leads to,
// it is not the address of the page that is shown, or that has just been drawn.
export const isPage = (page) => location.pathname.split('/').filter(Boolean).at(-1) === page;

// Calls `onStep` at each step to an address of this page that `isOurs`.  Streamlit hears of a step that
// leads elsewhere, and of one that leads back from there: this may still be shown, or about to go.
export function createHistory(page, onStep, isOurs = () => true) {
  let left = false; // Streamlit has been asked for something else
  const listen = (step) => {
    const back = left;
    left = !isPage(page) || !isOurs();
    if (left) return;
    if (!back) step.preventDefault();
    onStep();
  };
  window.addEventListener('lookalike:travel', listen);
  return {
    ownsAddress: () => !left && isPage(page), // whether this page may write the address
    leave: () => (left = true),
    stop: () => window.removeEventListener('lookalike:travel', listen),
  };
}

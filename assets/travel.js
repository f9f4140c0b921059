// Back and Forward among the steps that a page keeps to itself.  Streamlit, which would run the page
// anew, does not hear of them: the document asks here first (pages/ui/document.py).

// Calls `travel` at each step to a place of this page, which is one with its path that is `ours`.
// Streamlit hears of a step that leads elsewhere, and of one that leads back from there: this may
// still be shown, or about to go.
export function createTravel(travel, ours = () => true) {
  const { pathname } = location;
  let left = false; // Streamlit has been asked for something else
  const onTravel = (step) => {
    const back = left;
    left = location.pathname !== pathname || !ours();
    if (left) return;
    if (!back) step.preventDefault();
    travel();
  };
  window.addEventListener('lookalike:travel', onTravel);
  return {
    here: () => !left && location.pathname === pathname, // whether the address is this page's
    leave: () => (left = true),
    end: () => window.removeEventListener('lookalike:travel', onTravel),
  };
}

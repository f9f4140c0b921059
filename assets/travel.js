// Back and Forward among the steps that a page keeps to itself.  Streamlit, which would run the page
// anew, does not hear of them: the document asks here first (pages/ui/document.py).

// Calls `travel` at a step from one place of this page to another, as long as it `stays`; Streamlit
// handles what leads elsewhere, and what leads back from there while this is still shown.
export function keepTravel(travel, stays = () => true) {
  const { pathname } = location;
  let here = true; // false once a step has led elsewhere
  const onTravel = (step) => {
    const came = here;
    here = location.pathname === pathname && stays();
    if (!here || !came) return;
    step.preventDefault();
    travel();
  };
  window.addEventListener('lookalike:travel', onTravel);
  return () => window.removeEventListener('lookalike:travel', onTravel);
}

// The menus in the row above the map: one is open at a time; Esc or a press elsewhere closes it.
// The press that closed a menu does not search at its place, too.
function spareClick() {
  const spare = (event) => event.stopPropagation();
  addEventListener('click', spare, { capture: true, once: true });
  const over = () => removeEventListener('click', spare, { capture: true });
  addEventListener('pointerdown', over, { capture: true, once: true });
}

export function createMenus({ root, store }) {
  const row = root.querySelector('.lk-controls');
  const opened = () => [...row.querySelectorAll('details.lk-choice[open]')];
  const closeOthers = ({ target }) => {
    if (!target.open) return;
    for (const menu of opened()) menu.open = menu === target;
  };
  const press = (event) => {
    const [menu] = opened();
    if (event.key !== 'Escape' || !menu || store.state.help) return;
    event.preventDefault();
    event.stopImmediatePropagation(); // the search itself stays
    menu.open = false;
    menu.querySelector('summary').focus();
  };
  const point = ({ target }) => {
    const left = opened().filter((menu) => !menu.contains(target));
    for (const menu of left) menu.open = false;
    if (left.length && target.closest('.lk-map')) spareClick();
  };
  row.addEventListener('toggle', closeOthers, { capture: true }); // it does not bubble
  addEventListener('keydown', press, { capture: true });
  addEventListener('pointerdown', point);
  return {
    stop() {
      row.removeEventListener('toggle', closeOthers, { capture: true });
      removeEventListener('keydown', press, { capture: true });
      removeEventListener('pointerdown', point);
    },
  };
}

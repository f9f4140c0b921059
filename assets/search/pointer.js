// What the pointer does on the map of the Search page.
import { chipAt, covered } from '../map/footprints.js';

export function listenToPointer(map, { store, actions }) {
  const element = map.getContainer();
  const hitAt = ({ lat, lng }) => {
    const { shown, footprints } = store.state;
    if (!footprints || !shown.length) return -1;
    const under = (row) => covered(footprints, row, lng, lat);
    return shown.findIndex((hit) => (hit.rows ? hit.rows.some(under) : under(hit.row)));
  };
  let queued = null;
  const look = () => {
    const { latlng } = queued;
    queued = null;
    const { footprints, drawing } = store.state;
    if (drawing) return;
    const hovered = hitAt(latlng);
    const row = footprints && hovered < 0 ? chipAt(footprints, latlng.lng, latlng.lat) : null;
    store.set({ hovered, cursor: row });
    element.classList.toggle('lk-clickable', hovered >= 0 || row !== null);
  };
  const onMove = (event) => {
    if (!queued) requestAnimationFrame(look);
    queued = event;
  };
  const onOut = () => store.set({ hovered: -1, cursor: null });
  const onClick = ({ latlng, originalEvent }) => {
    if (store.state.drawing) return undefined;
    if (originalEvent.shiftKey) return actions.exampleAt(latlng.lng, latlng.lat);
    const index = hitAt(latlng);
    if (index < 0) return actions.searchAt(latlng.lng, latlng.lat);
    if (index === store.state.selected) return actions.searchHit(index);
    return actions.select(index);
  };
  map.on('mousemove', onMove).on('mouseout', onOut).on('click', onClick);
  return () => map.off('mousemove', onMove).off('mouseout', onOut).off('click', onClick);
}

// A mark is of a place: ids change with the size of the thing.
export const placeKey = ({ lon, lat }) => `${lon.toFixed(5)},${lat.toFixed(5)}`;
export const markOf = (found, marks) => marks.get(placeKey(found)) ?? found.mark;

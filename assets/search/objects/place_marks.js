// A mark is of a place in a scene: ids change with the size of the thing, and at the same place
// another date may show something else.
export const placeKey = ({ lon, lat, scene_id: scene = '' }) => `${scene},${lon.toFixed(5)},${lat.toFixed(5)}`;
export const markOf = (found, marks) => marks.get(placeKey(found)) ?? found.mark;

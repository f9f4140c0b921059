// What object search asks of the server.
import { readAs, request } from '../../shared/service.js';

const json = readAs('json');

export function createObjectService(base, name) {
  const root = `${location.origin}${base}/api/collections/${encodeURIComponent(name)}`;
  const sent = (method, fields) => ({
    method,
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify(fields),
  });
  return {
    find: (recipe, signal) =>
      request(`${root}/objects`, { signal, ...sent('POST', recipe) }).then(json),
    file: (recipe) => request(`${root}/objects/export`, sent('POST', recipe)),
    mark: (set, marks) => request(`${root}/object-marks/${set}`, sent('PUT', { marks })).then(json),
    marks: (set) => request(`${root}/object-marks/${set}`).then(json),
    makeCells: () =>
      request(`${location.origin}${base}/api/jobs`, sent('POST', { name })).then(json),
    jobs: `${base}/jobs`,
    // The imagery around an object, a little wider than the object.
    picture: ({ scene_id: scene, col, row, width, height }) => {
      const side = Math.max(16, Math.round(Math.max(width, height) * 1.25));
      return `${root}/objects/picture?${new URLSearchParams({ scene, col, row, side, size: 160 })}`;
    },
    scoreTiles: (token, scene) => `${root}/objects/score-map/${token}/${scene}`,
  };
}

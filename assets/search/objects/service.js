// What object search asks of the server.
import { marksService, readAs, request } from '../../shared/service.js';

const json = readAs('json');

export function createObjectService(base, name) {
  const root = `${location.origin}${base}/api/collections/${encodeURIComponent(name)}`;
  const detectors = `${location.origin}${base}/api/detectors`;
  const kept = `${root}/object-searches`;
  const sent = (method, fields) => ({
    method,
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify(fields),
  });
  return {
    find: (recipe, signal) =>
      request(`${root}/objects`, { signal, ...sent('POST', recipe) }).then(json),
    progress: (id) => request(`${root}/objects/progress/${id}`).then(json),
    // A page that is left sends this, too.
    cancel: (id) => request(`${root}/objects/progress/${id}`, { method: 'DELETE', keepalive: true }),
    job: (id) => request(`${location.origin}${base}/api/jobs/${id}`).then(json),
    cancelJob: (id) => request(`${location.origin}${base}/api/jobs/${id}/cancel`, { method: 'POST' }),
    ask: (recipe, n, signal) =>
      request(`${root}/objects/ask`, { signal, ...sent('POST', { ...recipe, n }) }).then(json),
    detectors: () => request(detectors).then(json),
    train: (fields) => request(detectors, sent('POST', { ...fields, collection: name })).then(json),
    detector: (detector) =>
      request(`${detectors}/${detector}?${new URLSearchParams({ collection: name })}`).then(json),
    rename: (detector, title) => request(`${detectors}/${detector}`, sent('PATCH', { title })).then(json),
    remove: (detector) => request(`${detectors}/${detector}`, { method: 'DELETE' }).then(json),
    restore: (token) => request(`${detectors}/restore`, sent('POST', { token })).then(json),
    upload: (file) => request(`${detectors}/file`, { method: 'POST', body: file }).then(json),
    detectorFile: (detector) => `${detectors}/${detector}/file.json`,
    file: (recipe) => request(`${root}/objects/export`, sent('POST', recipe)),
    savedSearches: () => request(kept).then(json),
    saveSearch: (recipe) => request(kept, sent('POST', recipe)).then(json),
    savedSearch: (id) => request(`${kept}/${id}`).then(json),
    removeSearch: (id) => request(`${kept}/${id}`, { method: 'DELETE' }),
    review: (id, object, mark, author) =>
      request(`${kept}/${id}/marks`, sent('POST', { object, mark, author })).then(json),
    checkPage: (id) =>
      `${location.origin}${base}/results?${new URLSearchParams({ collection: name, search: id, kind: 'objects' })}`,
    // Where a detector, or a saved search, is counted with.
    censusPage: (fields) => `${location.origin}${base}/census?${new URLSearchParams({ collection: name, ...fields })}`,
    savedFile: (id, fields) => request(`${kept}/${id}/export?${new URLSearchParams(fields)}`),
    ...marksService(root),
    keepPicture: (file) => request(`${root}/pictures`, { method: 'POST', body: file }).then(json),
    keepLabels: (set, file, author) =>
      request(`${root}/object-marks/${set}/labels?${new URLSearchParams({ file: file.name, author })}`, { method: 'POST', body: file }).then(json),
    makeCells: () =>
      request(`${location.origin}${base}/api/jobs`, sent('POST', { name })).then(json),
    jobs: `${base}/jobs`,
    // The imagery around an object, a little wider than the object.
    picture: ({ scene_id: scene, col, row, width, height }, around = 1.25, size = 160) => {
      const side = Math.max(16, Math.round(Math.max(width, height) * around));
      return `${root}/objects/picture?${new URLSearchParams({ scene, col, row, side, size })}`;
    },
    scoreMapFile: (token, threshold) =>
      request(`${root}/score-map.tif?${new URLSearchParams({ token, ...(threshold ? { threshold } : {}) })}`),
    outlines: (token, threshold, objects, signal) => {
      const places = objects.map(({ scene_id, col, row }) => ({ scene_id, col, row }));
      const body = sent('POST', { token, threshold, objects: places });
      return request(`${root}/objects/outlines`, { signal, ...body }).then(json).then(({ outlines }) => outlines);
    },
    scoreTiles: (token, scene) => `${root}/objects/score-map/${token}/${scene}`,
  };
}

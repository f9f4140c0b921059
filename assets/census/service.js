// What the census page asks of the server.
import { readAs, request } from '../shared/service.js';

const json = readAs('json');
const PATIENCE = 30_000; // of what is sent again

export function createCensuses(base) {
  const api = `${location.origin}${base}/api`;
  const root = `${api}/censuses`;
  const collection = (name) => `${api}/collections/${encodeURIComponent(name)}`;
  const sent = (method, fields, more = {}) => ({
    method,
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify(fields),
    ...more,
  });
  // Given just before the page is left, it still arrives; a request that hangs is sent again.
  const given = (fields) => sent('POST', fields, { keepalive: true, signal: AbortSignal.timeout(PATIENCE) });
  return {
    all: () => request(root).then(json),
    get: (id) => request(`${root}/${id}`).then(json),
    start: (fields) => request(root, sent('POST', fields)).then(json),
    round: (id, fields) => request(`${root}/${id}/rounds`, sent('POST', fields)).then(json),
    progress: (key) => request(`${root}/progress/${key}`).then(json),
    cancel: (key) => request(`${root}/progress/${key}`, { method: 'DELETE', keepalive: true }),
    change: (id, fields) => request(`${root}/${id}`, sent('PATCH', fields)).then(json),
    remove: (id) => request(`${root}/${id}`, { method: 'DELETE' }).then(json),
    restore: (token) => request(`${root}/restore`, sent('POST', { token })).then(json),
    polygons: (file) =>
      request(`${root}/polygons?${new URLSearchParams({ name: file.name })}`, { method: 'POST', body: file }).then(json),
    report: (id) => request(`${root}/${id}/report`).then(json),
    next: (id, reviewer, n) => request(`${root}/${id}/next`, given({ reviewer, n })).then(json),
    answer: (id, fields) => request(`${root}/${id}/answers`, given(fields)).then(json),
    undo: (id, reviewer, unit) => request(`${root}/${id}/undo`, given({ reviewer, unit })).then(json),
    skip: (id, reviewer, unit) => request(`${root}/${id}/skip`, given({ reviewer, unit })),
    picture: (unit, size) => `${location.origin}${base}${unit.picture}?${new URLSearchParams({ size, v: 1 })}`,
    units: (id, judged) => request(`${root}/${id}/units.geojson${judged ? '?judged=true' : ''}`).then(json),
    file: (id, kind) => `${root}/${id}/export/${kind}`,
    // What can be counted, and where.
    collections: () => request(`${api}/collections`).then(json),
    collection: (name) => request(collection(name)).then(json),
    detectors: () => request(`${api}/detectors`).then(json),
    objectSearches: (name) => request(`${collection(name)}/object-searches`).then(json),
    searches: () => request(`${api}/searches`).then(json),
  };
}

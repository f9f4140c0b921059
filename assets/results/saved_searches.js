// What the Results page asks of the server.
import { readAs, request } from '../shared/service.js';

// Unique among all collections: a copied collection has the same searches' ids.
export const keyOf = ({ collection, id }) => `${collection}/${id}`;

// A saved object search opens on the Search page, where its objects are reviewed.
export function searchPage(base, { collection, id }) {
  const fields = new URLSearchParams({ collection, mode: 'objects', saved: id });
  return `${location.origin}${base}/search?${fields}`;
}

// Where things are counted with the help of a saved search.
export const censusPage = (base, { collection, id }) =>
  `${location.origin}${base}/census?${new URLSearchParams({ collection, saved: id })}`;

export function createSavedSearches(base) {
  const api = `${location.origin}${base}/api`;
  const collection = (name) => `${api}/collections/${encodeURIComponent(name)}`;
  const one = ({ collection: name, id }) => `${collection(name)}/searches/${encodeURIComponent(id)}`;
  const objectSearch = ({ collection: name, id }) =>
    `${collection(name)}/object-searches/${encodeURIComponent(id)}`;
  const checkOf = (search) => `${search.kind === 'objects' ? objectSearch(search) : one(search)}/check`;
  const json = readAs('json');
  const send = (method, body) => ({
    method,
    keepalive: true, // a mark given just before the page is left still arrives
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify(body),
  });
  return {
    all: () => request(`${api}/searches`).then(json),
    objects: () => request(`${api}/object-searches`).then(json),
    openObjects: (search) => request(objectSearch(search)).then(json),
    compareObjects: (search, other) => {
      const fields = new URLSearchParams({ with: other.id, in: other.collection });
      return request(`${objectSearch(search)}/compare?${fields}`).then(json);
    },
    removeObjects: (search) => request(objectSearch(search), { method: 'DELETE' }),
    object: ({ collection: name, scene_id: scene, col, row, width, height }, size = 144, around = 1) => {
      const side = Math.max(16, Math.round(1.25 * around * Math.max(width, height)));
      const fields = new URLSearchParams({ scene, col, row, side, size });
      return `${collection(name)}/objects/picture?${fields}`;
    },
    check: (search) => request(checkOf(search)).then(json),
    drawCheck: (search, size) => request(checkOf(search), send('POST', { size })).then(json),
    nextOfCheck: (search) => request(`${checkOf(search)}/next`).then(json),
    judge: (search, id, mark, author) =>
      request(`${checkOf(search)}/judgements`, send('POST', { id, mark, author })).then(json),
    removeCheck: (search) => request(checkOf(search), { method: 'DELETE' }),
    open: (search) => request(one(search)).then(json),
    change: (search, fields) => request(one(search), send('PATCH', fields)).then(json),
    remove: (search) => request(one(search), { method: 'DELETE' }),
    mark: (search, chip, fields) =>
      request(`${one(search)}/marks`, send('POST', { chip, ...fields })).then(json),
    compare: (search, other) => {
      const fields = new URLSearchParams({ with: other.id, in: other.collection });
      return request(`${one(search)}/compare?${fields}`).then(json);
    },
    // The file and what to call it.
    export: async (search, fields) => {
      const answer = await request(`${one(search)}/export?${new URLSearchParams(fields)}`);
      const named = /filename="?([^";]+)/.exec(answer.headers.get('Content-Disposition') || '');
      return { file: await readAs('blob')(answer), name: named ? named[1] : 'lookalike' };
    },
    picture: (search) => `${one(search)}/picture.png`,
    chip: (search, id, size, around = 1) =>
      `${collection(search.collection)}/chips/${id}.png?size=${size}&around=${around}` +
      (search.version ? `&v=${search.version}` : ''),
  };
}

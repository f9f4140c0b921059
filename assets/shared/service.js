// What the page asks of the server, and how a refusal becomes words.
import { during } from './idle.js';

const PATIENCE = 30_000;

export class Refusal extends Error {
  constructor(problem) {
    super(problem.title || 'The server did not respond');
    this.detail = problem.detail || '';
    this.remedy = problem.remedy || '';
    this.status = problem.status || 0; // 0 if the server cannot be reached
  }
}

export function createService(base, name) {
  const root = `${location.origin}${base}/api/collections/${encodeURIComponent(name)}`;
  return {
    // Answers once the index is in memory; asking twice costs nothing.
    warm: () => request(`${root}/index`).then(json),
    footprints: (version) =>
      request(`${root}/footprints.f64?v=${version}`).then(readAs('arrayBuffer')),
    // Each chip's row, place in the embedding space and scene.
    space: (version) => request(`${root}/space.f32?v=${version}`).then(readAs('arrayBuffer')),
    chip: (id, size, version) => `${root}/chips/${id}.png?size=${size}&v=${version}`,
    box: (box) => `${root}/box.png?${new URLSearchParams({ box })}`,
    picture: (id) => `${root}/pictures/${id}.png`,
    // With `sites`, overlapping hits come merged into places, and the recipe's k counts those.
    search: (recipe, sites, signal) =>
      request(`${root}/search${sites ? '?sites=1' : ''}`, { signal, ...posted(recipe) }).then(json),
    scores: (recipe, signal) =>
      request(`${root}/scores`, { signal, ...posted(recipe) }).then(readAs('arrayBuffer')),
    match: (recipe, chips, signal) =>
      request(`${root}/match`, { signal, ...posted({ ...recipe, chips }) }).then(json),
    eligible: (filters) => request(`${root}/eligible`, posted(filters)).then(json),
    // `day` selects among scenes of several dates.
    chipAt: (lon, lat, day) =>
      request(`${root}/chip?${new URLSearchParams({ lon, lat, ...(day && { day }) })}`).then(json),
    changes: (recipe, signal) => request(`${root}/changes`, { signal, ...posted(recipe) }).then(json),
    changesFile: (recipe) =>
      request(`${root}/changes?geojson=1`, posted(recipe)).then(readAs('blob')),
    // With `sites`, the hits that make up as many places as the recipe wants; marks, or those of a
    // set, are kept with the hits they are of.
    save: (title, recipe, sites, marked) =>
      request(`${root}/searches${sites ? '?sites=1' : ''}`, posted({ ...recipe, name: title, ...marked })).then(
        json,
      ),
    ...marksService(root),
    saved: (id) => request(`${root}/searches/${encodeURIComponent(id)}`).then(json),
    results: (id) => `${base}/results?${new URLSearchParams({ collection: name, search: id })}`,
  };
}

// Sets of marks, of chips or of objects.  A request that hangs is given up, to be sent again.
export function marksService(root) {
  const signal = () => AbortSignal.timeout(PATIENCE);
  const headers = { 'Content-Type': 'application/json' };
  return {
    mark(set, marks) {
      const kind = marks[0].chip ? 'chip' : 'object';
      const body = JSON.stringify({ marks });
      const options = { method: 'PUT', headers, body, signal: signal() };
      return request(`${root}/${kind}-marks/${set}`, options).then(json);
    },
    marks: (set, kind) => request(`${root}/${kind}-marks/${set}`, { signal: signal() }).then(json),
  };
}

// Reads an answer as JSON, a buffer or a blob.
export const readAs = (kind) => (answer) => during('an answer', answer[kind]());
const json = readAs('json');

function posted({ file, ...fields }) {
  if (!file) {
    const headers = { 'Content-Type': 'application/json' };
    return { method: 'POST', headers, body: JSON.stringify(fields) };
  }
  const form = new FormData();
  form.append('image', file);
  for (const [name, value] of Object.entries(fields)) {
    form.append(name, value?.type ? JSON.stringify(value) : value);
  }
  return { method: 'POST', body: form };
}

// The answer to a request, or a Refusal in words.
export async function request(url, options) {
  let answer;
  try {
    answer = await during('the server', fetch(url, options));
  } catch (error) {
    if (error.name === 'AbortError') throw error;
    throw new Refusal({
      title: 'The server cannot be reached',
      remedy: 'Check that Lookalike is still running, then try again',
    });
  }
  if (!answer.ok) throw new Refusal({ ...(await problem(answer)), status: answer.status });
  return answer;
}

async function problem(answer) {
  const type = answer.headers.get('Content-Type') || '';
  if (type.includes('json')) return json(answer);
  return { title: `The server returned status ${answer.status}`, remedy: 'Try again in a moment' };
}

// What the page asks of the server, and how a refusal becomes words.

export class Refusal extends Error {
  constructor(problem) {
    super(problem.title || 'The server did not answer');
    this.detail = problem.detail || '';
    this.remedy = problem.remedy || '';
  }
}

export function createService(base, name) {
  const root = `${location.origin}${base}/api/collections/${encodeURIComponent(name)}`;
  return {
    describe: () => ask(root).then((answer) => answer.json()),
    // Answers once the index is in memory; asking twice costs nothing.
    warm: () => ask(`${root}/index`).then((answer) => answer.json()),
    footprints: (version) =>
      ask(`${root}/footprints.f64?v=${version}`).then((answer) => answer.arrayBuffer()),
    chip: (id, size, version) => `${root}/chips/${id}.png?size=${size}&v=${version}`,
    picture: (id) => `${root}/pictures/${id}.png`,
    search: (query, options, signal) =>
      ask(`${root}/search`, { method: 'POST', signal, ...body(query, options) }).then((answer) =>
        answer.json(),
      ),
  };
}

function body(query, options) {
  if (query.file) {
    const form = new FormData();
    form.append('image', query.file);
    for (const [name, value] of Object.entries(options)) form.append(name, value);
    return { body: form };
  }
  return {
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify({ ...query, ...options }),
  };
}

// The answer to a request, or a Refusal in words.
export async function ask(url, request) {
  let answer;
  try {
    answer = await fetch(url, request);
  } catch (error) {
    if (error.name === 'AbortError') throw error;
    throw new Refusal({
      title: 'The server cannot be reached',
      remedy: 'Check that Lookalike is still running, then try again',
    });
  }
  if (!answer.ok) throw new Refusal(await problem(answer));
  return answer;
}

async function problem(answer) {
  const type = answer.headers.get('Content-Type') || '';
  if (type.includes('json')) return answer.json();
  return { title: `The server answered ${answer.status}`, remedy: 'Try again in a moment' };
}

// What is asked of the server, and how its refusals become words.
import assert from 'node:assert/strict';
import test from 'node:test';

import './page.mjs';
import { Refusal, createService } from '../../assets/shared/service.js';

// The server, which answers like this; what it was asked.
function server(answer = () => Response.json({})) {
  const asked = [];
  globalThis.fetch = async (url, request = {}) => {
    asked.push({ url, ...request });
    return answer();
  };
  return asked;
}

const service = createService('/base', 'salt & ponds');

test('names and ids are escaped in addresses', async () => {
  const asked = server();
  await service.saved('../../x?y');
  const root = 'http://lookalike.test/base/api/collections/salt%20%26%20ponds';
  assert.equal(asked[0].url, `${root}/searches/..%2F..%2Fx%3Fy`);
  assert.equal(service.results('a&b'), '/base/results?collection=salt+%26+ponds&search=a%26b');
  assert.equal(service.box([1, 2, 3, 4]), `${root}/box.png?box=1%2C2%2C3%2C4`);
});

test('a recipe is sent as JSON; sites are asked for in the address', async () => {
  const asked = server();
  await service.search({ chip: 'c1', k: 10 }, false);
  await service.search({ chip: 'c1' }, true);
  assert.deepEqual(JSON.parse(asked[0].body), { chip: 'c1', k: 10 });
  assert.equal(asked[0].method, 'POST');
  assert.match(asked[0].url, /\/search$/);
  assert.match(asked[1].url, /\/search\?sites=1$/);
});

test('a picture is sent as a file, with the rest of the recipe as fields', async () => {
  const asked = server();
  const within = { type: 'Polygon', coordinates: [] };
  await service.search({ file: new Blob(['x']), k: 5, scenes: ['s1', 's2'], within });
  const { body, headers } = asked[0];
  assert.equal(headers, undefined); // the browser writes the form's own
  assert.equal(await body.get('image').text(), 'x');
  assert.deepEqual(['k', 'scenes', 'within'].map((name) => body.get(name)), [
    '5', 's1,s2', JSON.stringify(within),
  ]);
  assert.equal(body.get('file'), null);
});

test('a day is asked for only where it is known', async () => {
  const asked = server();
  await service.chipAt(1, 2);
  await service.chipAt(1, 2, '2024-05-01');
  assert.match(asked[0].url, /\/chip\?lon=1&lat=2$/);
  assert.match(asked[1].url, /&day=2024-05-01$/);
});

const refusal = (fields) => (error) => {
  assert.ok(error instanceof Refusal);
  const { message, detail, remedy } = error;
  assert.deepEqual({ message, detail, remedy }, fields);
  return true;
};

test("the server's own words are passed on", async () => {
  const words = { title: 'No such chip', detail: 'c9', remedy: 'Choose another' };
  server(() => Response.json(words, { status: 404 }));
  const { title: message, ...rest } = words;
  await assert.rejects(service.warm(), refusal({ message, ...rest }));
  server(() => Response.json({}, { status: 500 }));
  const bare = { message: 'The server did not respond', detail: '', remedy: '' };
  await assert.rejects(service.warm(), refusal(bare));
});

test('an answer that is not in words, as of a proxy, is put into some', async () => {
  server(() => new Response('<h1>Bad Gateway</h1>', { status: 502 }));
  const message = 'The server returned status 502';
  await assert.rejects(
    service.warm(),
    refusal({ message, detail: '', remedy: 'Try again in a moment' }),
  );
});

test('a server that cannot be reached is told so; a search that was given up is not', async () => {
  server(() => {
    throw new TypeError('Failed to fetch');
  });
  await assert.rejects(service.warm(), { message: 'The server cannot be reached' });
  const given = new DOMException('', 'AbortError');
  server(() => {
    throw given;
  });
  await assert.rejects(service.warm(), (error) => error === given);
});

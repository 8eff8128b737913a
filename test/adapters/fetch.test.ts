import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fetchSync } from '../../adapters/fetch/index.ts';
import { asFetchHandler } from './applications.ts';
import { bridgeTests, bytesOf, recorder, text } from './bridge.ts';

bridgeTests(asFetchHandler);

const post = (path: string, body: string | ReadableStream<Uint8Array>, init: RequestInit = {}): Request =>
  new Request(`https://example.org${path}`, { method: 'POST', body, duplex: 'half', ...init } as RequestInit);

test("a fetch handler takes Node's own Request, and answers Node's own Response", async () => {
  const server = recorder(async ({ body }) => text((await bytesOf(body)).toString()));
  const response = await fetchSync(server, { mountPath: '/anki' })(post('/anki/sync/meta?x=1', 'hello', { headers: { 'Anki-Sync': '{}' } }));
  assert.ok(response instanceof Response);
  assert.deepEqual([response.status, response.headers.get('content-length'), await response.text()], [200, '5', 'hello']);
  const [asked] = server.asked;
  assert.deepEqual([asked?.method, asked?.url, asked?.mountPath, asked?.scheme, asked?.headers['anki-sync'], asked?.clientAddress], [
    'POST', '/sync/meta?x=1', '/anki', 'https', '{}', undefined,
  ]);
});

test('without a mount path every path is the core\'s', async () => {
  const server = recorder();
  await fetchSync(server)(new Request('http://example.org/sync/meta'));
  assert.deepEqual([server.asked[0]?.url, server.asked[0]?.mountPath, server.asked[0]?.body], ['/sync/meta', '', null]);
});

const runtimes: [string, unknown][] = [
  ["Node's adapters", { incoming: { socket: { remoteAddress: '203.0.113.7' } }, outgoing: {} }],
  ['Deno', { remoteAddr: { transport: 'tcp', hostname: '203.0.113.7', port: 1 } }],
  ['Bun', { requestIP: () => ({ address: '203.0.113.7', family: 'IPv4', port: 1 }) }],
];
for (const [runtime, info] of runtimes) {
  test(`the address of the client is what ${runtime} would hand over`, async () => {
    const server = recorder();
    await fetchSync(server)(new Request('http://example.org/'), info);
    assert.equal(server.asked[0]?.clientAddress, '203.0.113.7');
    await fetchSync(server, { trustedProxies: ['203.0.113.0/24'] })(new Request('http://example.org/', { headers: { 'x-forwarded-for': '198.51.100.9' } }), info);
    assert.equal(server.asked[1]?.clientAddress, '198.51.100.9');
  });
}

test('a runtime that tells no version of HTTP is asked for none', async () => {
  const server = recorder();
  for (const info of [undefined, null, {}, { incoming: {} }, { remoteAddr: { hostname: '203.0.113.7' } }]) await fetchSync(server)(new Request('http://example.org/'), info);
  assert.deepEqual(server.asked.map((asked) => 'httpVersion' in asked), [false, false, false, false, false]);
});

test('a function of the application may tell the address', async () => {
  const server = recorder();
  const handler = fetchSync(server, { clientAddress: (request: Request, info: { from: string }) => `${info.from} ${request.headers.get('x')}` });
  await handler(new Request('http://example.org/', { headers: { x: '1' } }), { from: 'a' });
  assert.equal(server.asked[0]?.clientAddress, 'a 1');
});

test('an answer is made as it is read, and no longer once the reader cancels', async () => {
  let made = 0;
  let ended = false;
  async function* endless(): AsyncGenerator<Uint8Array> {
    try {
      for (;; made++) yield Buffer.from('piece');
    } finally {
      ended = true;
    }
  }
  const response = await fetchSync(recorder(() => ({ status: 200, headers: { 'content-length': '1000' }, body: endless() })))(new Request('http://example.org/'));
  assert.equal(response.headers.get('content-length'), '1000');
  const reader = response.body!.getReader();
  assert.equal(made, 0);
  await reader.read();
  await reader.read();
  assert.equal(made, 1);
  await reader.cancel();
  assert.equal(ended, true);
});

test('an answer that nobody begins to read is let go of when the request is aborted', async () => {
  const ended = Promise.withResolvers<void>();
  const gone = new AbortController();
  const source = { [Symbol.asyncIterator]: () => ({ next: async () => ({ done: false, value: Buffer.from('x') }), return: async () => (ended.resolve(), { done: true, value: undefined }) }) };
  const response = await fetchSync(recorder(() => ({ status: 200, headers: {}, body: source as AsyncIterable<Uint8Array> })))(new Request('http://example.org/', { signal: gone.signal }));
  gone.abort();
  await ended.promise;
  assert.equal(response.status, 200);
});

test('a stream that fails on its way fails the answer', async () => {
  async function* failing(): AsyncGenerator<Uint8Array> {
    yield Buffer.from('x');
    throw new Error('the disk');
  }
  const response = await fetchSync(recorder(() => ({ status: 200, headers: {}, body: failing() })))(new Request('http://example.org/'));
  await assert.rejects(response.text());
});

test('the answer to a refused upload ends once the rest of the upload was dropped', async () => {
  let pulled = 0;
  const body = new ReadableStream<Uint8Array>({
    pull(controller) {
      if (++pulled > 5) controller.close();
      else controller.enqueue(Buffer.alloc(1000));
    },
  });
  const response = await fetchSync(recorder(() => text('HOST_KEY_UNKNOWN', 403)))(post('/sync/upload', body));
  assert.deepEqual([response.status, response.headers.get('content-length')], [403, '16']);
  assert.equal(await response.text(), 'HOST_KEY_UNKNOWN');
  assert.equal(pulled, 6);
});

/** What the server tells of a request, to whoever asks. */
import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { DoctorEcho, MAX_DOCTOR_BODY_BYTES, type DoctorReport } from '../../lib/doctor/echo.ts';
import { SyncError } from '../../lib/errors.ts';
import type { HttpRequest } from '../../lib/http.ts';
import { RawClient } from '../client/raw.ts';
import { runningServer, type RunningServer } from '../server/running-server.ts';

async function started(t: TestContext): Promise<RunningServer> {
  const server = await runningServer({ publicUrl: 'https://example.org/anki/' });
  t.after(() => server.stop());
  return server;
}

function asking(more: Partial<HttpRequest> = {}): HttpRequest {
  return { method: 'POST', url: '/sync/doctor', headers: {}, body: null, clientAddress: '192.0.2.1', ...more };
}

async function* bytes(count: number): AsyncGenerator<Uint8Array> {
  const piece = new Uint8Array(1024 * 1024);
  for (let left = count; left > 0; left -= piece.length) yield piece.subarray(0, Math.min(left, piece.length));
}

test('a request is told how it arrived: path, chunks, bytes, names of headers and no value of any', async (t) => {
  const server = await started(t);
  const client = new RawClient(server.url, { key: 'a-key-that-is-secret' });
  for (const path of ['sync/doctor', 'msync/doctor', 'anki//sync/doctor/']) {
    const { status, json, text } = await client.send('POST', path, Buffer.alloc(70_000, 1), { packed: true, headers: { cookie: 'session=secret', 'x-forwarded-for': '192.0.2.7' } });
    assert.equal(status, 200);
    const report = json() as DoctorReport;
    assert.deepEqual([report.doctor, report.httpVersion, report.chunked, report.receivedBytes, report.contentLength], [1, '1.1', true, 70_000, undefined]);
    assert.equal(report.path, `/${path}`);
    assert.equal(report.url, 'https://example.org/anki/');
    assert.match(report.address ?? '', /127\.0\.0\.1$/);
    for (const name of ['anki-sync', 'cookie', 'x-forwarded-for']) assert.ok(report.headers.includes(name), name);
    assert.doesNotMatch(text(), /secret|192\.0\.2\.7/);
  }
  const counted = await client.send('POST', 'sync/doctor', Buffer.alloc(10), { packed: true, chunked: false });
  assert.deepEqual([(counted.json() as DoctorReport).chunked, (counted.json() as DoctorReport).contentLength], [false, 10]);
});

test('where it is switched off, no request is told anything, at either path', async () => {
  await using server = await runningServer({ doctor: false });
  const client = new RawClient(server.url);
  for (const path of ['sync/doctor', 'msync/doctor?bytes=1000', 'sync/sync/doctor/']) {
    const { status, text } = await client.send('POST', path, {});
    assert.deepEqual([status, text()], [400, 'METHOD_UNKNOWN: examinations are switched off']);
  }
});

test('it is asked by POST alone, and answers as the steps of a sync do', async (t) => {
  const client = new RawClient((await started(t)).url);
  assert.equal((await client.get('sync/doctor')).status, 405);
  assert.equal((await client.send('POST', 'doctor', {})).status, 404);
  const { headers, wire, json } = await client.post('doctor?bytes=1000', {});
  assert.equal(headers['content-type'], 'application/octet-stream');
  assert.match(headers['anki-original-size'] as string, /^\d+$/);
  assert.equal(wire.readUInt32LE(), 0xfd2fb528);
  assert.equal(Buffer.from((json() as DoctorReport).filler ?? '', 'base64').length, 1000);
});

test('more filler, and longer waiting, than there may be, is as much as there may be; what is no number is none', async () => {
  const echo = new DoctorEcho({});
  const { headers } = await echo.respond(asking({ url: '/sync/doctor?bytes=999999999&wait=x&drip=-1' }));
  assert.ok(Number(headers['anki-original-size']) < 400_000);
});

test('a body beyond the limit is refused, by its length before a byte is read', async () => {
  const echo = new DoctorEcho({});
  const isTooLarge = (error: unknown): boolean => error instanceof SyncError && error.code === 'BODY_TOO_LARGE';
  await assert.rejects(echo.respond(asking({ headers: { 'content-length': String(MAX_DOCTOR_BODY_BYTES + 1) }, body: bytes(1) })), isTooLarge);
  await assert.rejects(echo.respond(asking({ body: bytes(MAX_DOCTOR_BODY_BYTES + 1) })), isTooLarge);
});

test('an address may ask so often in a minute, and so much at once; others may ask all the same', async () => {
  const echo = new DoctorEcho({});
  const isBusy = (error: unknown): boolean => error instanceof SyncError && error.code === 'BUSY';
  const leaving = new AbortController();
  const waiting = Array.from({ length: 8 }, () => echo.respond(asking({ url: '/sync/doctor?wait=100000', signal: leaving.signal })));
  await assert.rejects(echo.respond(asking()), isBusy);
  assert.equal((await echo.respond(asking({ clientAddress: '192.0.2.2' }))).status, 200);
  leaving.abort();
  await Promise.all(waiting);
  assert.equal((await echo.respond(asking())).status, 200);
  let busy: unknown;
  for (let asked = 0; asked < 400 && busy === undefined; asked++) busy = await echo.respond(asking()).then(() => undefined, (error: unknown) => error);
  assert.ok(isBusy(busy));
  assert.equal((await echo.respond(asking({ clientAddress: '192.0.2.2' }))).status, 200);
});

test('a slow answer that nobody reads leaves its place to others', async () => {
  const echo = new DoctorEcho({});
  for (let round = 0; round < 20; round++) {
    const { body } = await echo.respond(asking({ url: '/sync/doctor?drip=100000' }));
    (body as unknown as { destroy(): void }).destroy();
    await new Promise(setImmediate);
  }
  assert.equal((await echo.respond(asking())).status, 200);
});

test('a server that closes waits for none of it', async () => {
  const server = await runningServer();
  const client = new RawClient(server.url);
  const silent = client.post('doctor?wait=120000', {});
  const slow = client.post('doctor?drip=120000', {});
  silent.catch(() => {});
  slow.catch(() => {});
  // both have arrived once the server counts them
  while (server.server.activity().requests.length < 1) await new Promise((resolve) => setTimeout(resolve, 5));
  await server.stop();
  await Promise.allSettled([silent, slow]);
});

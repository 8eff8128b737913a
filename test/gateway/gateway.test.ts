import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { request } from 'node:http';
import { test } from 'node:test';
import { fetchSync } from '../../adapters/fetch/index.ts';
import { createGateway, type GatewayOptions } from '../../lib/index.ts';
import { requireProxyLibrary } from '../../lib/gateway/library.ts';
import { Visitor } from '../account/visitor.ts';
import { contentType, pythonForm, PYTHON_BOUNDARY, REQWEST_BOUNDARY, rustForm } from '../protocol/forms.ts';
import { PASSWORD, sendPacked, standIn, startGateway, THERE } from './stand-in.ts';

const KIB = 1024;

test('the server behind gets its own key, the same words of the client, the same bytes, and the address of the client', async (t) => {
  const behind = await standIn(t);
  const gateway = await startGateway(t, `${behind.url}there/`);
  const device = await gateway.device();
  const bytes = randomBytes(1000);
  const response = await device.post('applyChunk', bytes, { packed: true, syncHeader: JSON.stringify({ v: 11, k: device.key, c: 'anki,26.09.3 (?),lin', s: 's1' }).replace('?', '\\u00fc') });
  assert.deepEqual([response.status, response.text(), response.headers['anki-original-size']], [200, '{}', '2']);
  const [seen] = behind.seen;
  assert.equal(seen!.path, '/there/sync/applyChunk');
  assert.deepEqual(JSON.parse(String(seen!.headers['anki-sync'])), { v: 11, k: 'canary-key-1', c: 'anki,26.09.3 (ü),lin', s: 's1' });
  assert.ok(seen!.body.equals(bytes));
  assert.match(String(seen!.headers['x-forwarded-for']), /127\.0\.0\.1/);
});

test('the gateway signs in there once, and again when its key is refused; the client learns nothing of it', async (t) => {
  const behind = await standIn(t);
  const gateway = await startGateway(t, behind.url);
  const device = await gateway.device();
  await Promise.all([device.post('meta'), device.post('meta'), device.post('meta')]);
  assert.equal(behind.signIns, 1);
  behind.answer = (_req, res, { key }) => (key === 'canary-key-1' ? res.writeHead(403).end() : sendPacked(res, { good: key }));
  const answers = await Promise.all([device.post('meta', { first: 1 }), device.post('meta', { second: 2 })]);
  for (const answer of answers) assert.deepEqual([answer.status, answer.json()], [200, { good: 'canary-key-2' }]);
  assert.equal(behind.signIns, 2);
  const bodies = behind.seen.filter(({ key }) => key === 'canary-key-2').map(({ body }) => body.toString('hex')).sort();
  assert.deepEqual(bodies, behind.seen.slice(-4).filter(({ key }) => key === 'canary-key-1').map(({ body }) => body.toString('hex')).sort());
});

test('a key that is refused again and again is a server error, never a 403, and `meta` has words for it', async (t) => {
  const behind = await standIn(t);
  const gateway = await startGateway(t, behind.url);
  const device = await gateway.device();
  behind.answer = (_req, res) => res.writeHead(403).end();
  const meta = await device.post('meta');
  assert.equal(meta.status, 200);
  assert.equal((meta.json() as { cont: boolean }).cont, false);
  const step = await device.post('start');
  assert.deepEqual([step.status, step.text()], [503, 'UPSTREAM_REFUSED']);
  assert.ok(step.headers['retry-after'] !== undefined);
  behind.answer = (_req, res) => sendPacked(res, {});
  assert.equal((await device.post('meta')).status, 200);
});

test('a large body whose key is refused is not sent again: a server error, and the next request goes through', async (t) => {
  const behind = await standIn(t);
  const gateway = await startGateway(t, behind.url);
  const device = await gateway.device();
  behind.answer = (_req, res, { key }) => (key === 'canary-key-1' ? res.writeHead(403).end() : sendPacked(res, {}));
  assert.match((await device.post('upload', randomBytes(900 * KIB), { packed: true })).text(), /does not know you/);
  const bytes = randomBytes(900 * KIB);
  assert.equal((await device.post('upload', bytes, { packed: true })).status, 200);
  assert.ok(behind.seen.at(-1)!.body.equals(bytes));
});

test('whoever is unknown at the gateway, or has nobody behind, never gets there', async (t) => {
  const behind = await standIn(t);
  const gateway = await startGateway(t, behind.url);
  const stranger = await gateway.device();
  assert.equal((await stranger.post('meta', {}, { key: 'canary-key-1' })).status, 403);
  const nobody = await gateway.device('nobody');
  assert.equal((await nobody.post('meta')).status, 200);
  assert.equal((await nobody.post('start')).status, 503);
  assert.deepEqual([behind.seen.length, behind.signIns], [0, 0]);
  assert.ok(gateway.log.some(({ code, user }) => code === 'UPSTREAM_REFUSED' && user === 'nobody'));
});

test('a shared password is everybody\'s there, under their own name; a function may say who is who', async (t) => {
  const behind = await standIn(t);
  const shared = await startGateway(t, behind.url, { users: {}, sharedPassword: 'canary-shared' });
  assert.equal((await (await shared.device('eve')).post('start')).status, 200);
  const asked = await startGateway(t, behind.url, { users: async (name) => (name === 'eve' ? { user: 'e', password: 'canary-e' } : undefined) });
  assert.equal((await (await asked.device('eve')).post('start')).status, 200);
  assert.equal((await (await asked.device('kim')).post('start')).status, 503);
});

test('`begin` answers with our key, to clients that use it from then on', async (t) => {
  const behind = await standIn(t);
  const gateway = await startGateway(t, behind.url);
  const device = await gateway.device();
  behind.answer = (_req, res, { key, headers }) => {
    const answer = { data: { usn: 3, sk: key === '' ? 'canary-key-1' : key }, err: '' };
    if (headers['anki-sync'] === undefined) res.end(JSON.stringify(answer));
    else sendPacked(res, answer);
  };
  assert.deepEqual((await device.msync('begin', { v: 'x' })).json(), { data: { usn: 3, sk: device.key }, err: '' });
  const old = await fetch(`${gateway.url}msync/begin?k=${device.key}&v=ankidesktop,2.1.50,lin`);
  assert.deepEqual(await old.json(), { data: { usn: 3, sk: device.key }, err: '' });
});

test('forms of old clients arrive as forms, with the key of the server behind, wherever the client wrote its own', async (t) => {
  const behind = await standIn(t);
  behind.answer = (_req, res) => res.end('{}');
  const gateway = await startGateway(t, behind.url);
  const { key } = await gateway.device();
  const data = randomBytes(3000);
  const forms = [[REQWEST_BOUNDARY, rustForm(data, { c: '1', k: key, s: 'sss' })], [PYTHON_BOUNDARY, pythonForm({ c: '1', sk: key, s: 'sss' }, data)]] as const;
  for (const [boundary, body] of forms) {
    const response = await fetch(`${gateway.url}sync/applyChunk`, { method: 'POST', headers: { 'content-type': contentType(boundary) }, body: new Uint8Array(body) });
    assert.deepEqual([response.status, await response.text()], [200, '{}']);
    const seen = behind.seen.at(-1)!;
    const form = await new Response(new Uint8Array(seen.body), { headers: { 'content-type': seen.headers['content-type']! } }).formData();
    assert.deepEqual([form.get('c'), form.get('k'), form.get('s')], ['1', 'canary-key-1', 'sss']);
    assert.ok(Buffer.from(await (form.get('data') as File).arrayBuffer()).equals(data));
  }
});

test('bodies come through while they are being sent, and a client that goes ends the request behind', async (t) => {
  const behind = await standIn(t);
  behind.readsItself = true;
  const gateway = await startGateway(t, behind.url);
  const device = await gateway.device();
  const first = Promise.withResolvers<Buffer>();
  const gone = Promise.withResolvers<void>();
  behind.answer = (req) => {
    req.once('data', first.resolve);
    req.on('error', () => {});
    req.once('close', gone.resolve);
  };
  const upload = device.open('sync/upload');
  const beginning = randomBytes(100 * KIB);
  await upload.write(beginning);
  const piece = await first.promise;
  assert.ok(piece.length > 0 && beginning.subarray(0, piece.length).equals(piece));
  upload.destroy();
  await gone.promise;
});

test('a client that goes before its answer, or in the middle of it, ends the request behind', async (t) => {
  const behind = await standIn(t);
  const gateway = await startGateway(t, behind.url);
  const device = await gateway.device();
  for (const beginsToAnswer of [false, true]) {
    const arrived = Promise.withResolvers<void>();
    const gone = Promise.withResolvers<void>();
    behind.answer = (_req, res) => {
      res.once('close', gone.resolve);
      if (beginsToAnswer) res.writeHead(200, { 'anki-original-size': '9' }).write('the head');
      arrived.resolve();
    };
    const stop = new AbortController();
    const asking = device.sendUnread('POST', 'sync/download', {}, { signal: stop.signal });
    asking.catch(() => {});
    await arrived.promise;
    if (beginsToAnswer) await once((await asking).on('error', () => {}), 'readable');
    stop.abort();
    await gone.promise;
  }
});

test('what only asks goes over a connection that is kept; a step that changes something, and a large body, have one of their own', async (t) => {
  const behind = await standIn(t);
  const gateway = await startGateway(t, behind.url);
  const device = await gateway.device();
  const portOf = async (asking: Promise<unknown>): Promise<number> => {
    await asking;
    return behind.seen.at(-1)!.port!;
  };
  const kept = await portOf(device.post('meta'));
  for (const asking of [() => device.msync('begin', { v: 'x' }), () => device.msync('mediaChanges', { lastUsn: 0 }), () => device.post('meta')]) {
    assert.equal(await portOf(asking()), kept);
  }
  const own = [await portOf(device.post('start')), await portOf(device.post('applyChunk')), await portOf(device.post('meta', randomBytes(100 * KIB), { packed: true }))];
  assert.equal(new Set([kept, ...own]).size, 4);
  assert.equal(await portOf(device.post('meta')), kept);
});

test('a server behind that closes its connection just when it is used again costs nobody a sync', async (t) => {
  const behind = await standIn(t);
  const gateway = await startGateway(t, behind.url);
  const device = await gateway.device();
  await device.post('meta');
  const kept = behind.seen.at(-1)!.port;
  behind.answer = (req, res, { port }) => (port === kept ? req.socket.destroy() : sendPacked(res, { good: true }));
  const answer = await device.post('meta', { asked: 'once' });
  assert.deepEqual([answer.status, answer.json()], [200, { good: true }]);
  const [refused, taken] = behind.seen.slice(-2);
  assert.deepEqual([refused!.port, taken!.port === kept], [kept, false]);
  assert.ok(taken!.body.equals(refused!.body));
  // and one that closes each of them after its answer, without a word before
  behind.answer = (req, res) => {
    res.once('finish', () => req.socket.destroySoon());
    sendPacked(res, {});
  };
  for (let round = 0; round < 20; round++) {
    const answers = await Promise.all([device.post('meta'), device.msync('mediaChanges', { lastUsn: 0 }), device.post('start'), device.post('meta')]);
    assert.deepEqual(answers.map(({ status, text }) => [status, text()]), Array(4).fill([200, '{}']));
  }
});

test('a step that may have been done is never sent twice, nor anything that failed over a new connection', async (t) => {
  const behind = await standIn(t);
  const gateway = await startGateway(t, behind.url);
  const device = await gateway.device();
  await device.post('meta');
  behind.answer = (req) => req.socket.destroy();
  behind.seen.length = 0;
  for (const step of ['start', 'applyChunk', 'chunk', 'finish', 'download']) assert.equal((await device.post(step)).status, 502, step);
  assert.deepEqual(behind.seen.map(({ path }) => path.slice('/sync/'.length)), ['start', 'applyChunk', 'chunk', 'finish', 'download']);
  behind.seen.length = 0;
  // over the connection that is left from before, and over a new one
  assert.match((await device.post('meta')).text(), /cannot be reached/);
  assert.ok(behind.seen.length <= 2);
});

test('an answer that breaks off is not taken for a whole one', async (t) => {
  const behind = await standIn(t);
  const gateway = await startGateway(t, behind.url);
  const device = await gateway.device();
  behind.answer = (_req, res) => {
    res.writeHead(200, { 'anki-original-size': '900' });
    res.write('the head', () => res.destroy());
  };
  await assert.rejects(device.post('download'));
});

test('a user who is signed out during an upload changes nothing: the last byte never arrives', async (t) => {
  const behind = await standIn(t);
  behind.readsItself = true;
  const gateway = await startGateway(t, behind.url);
  const device = await gateway.device();
  const arrived = Promise.withResolvers<void>();
  const ended = Promise.withResolvers<boolean>();
  behind.answer = (req) => {
    req.once('data', () => arrived.resolve()).on('error', () => {});
    req.once('close', () => ended.resolve(req.complete));
    req.resume();
  };
  const upload = device.open('sync/upload');
  await upload.write(randomBytes(100 * KIB));
  await arrived.promise;
  const visitor = new Visitor(gateway.url);
  await visitor.signIn('kim', PASSWORD);
  await visitor.get('/devices');
  assert.equal((await visitor.post('/devices/revoke-all', {})).status, 303);
  upload.end();
  assert.equal((await upload.response).status, 403);
  assert.equal(await ended.promise, false);
});

test('statuses of a sync come through; a redirect, a wrong place and silence are the server\'s trouble', async (t) => {
  const behind = await standIn(t);
  const gateway = await startGateway(t, behind.url, { timeoutMillis: 300 });
  const device = await gateway.device();
  for (const [there, here] of [[400, 400], [409, 409], [501, 501], [500, 500], [308, 502], [301, 502], [404, 502], [405, 502], [401, 503]] as const) {
    behind.answer = (_req, res) => res.writeHead(there, { location: 'http://elsewhere.example/' }).end('words');
    const response = await device.post('start');
    assert.equal(response.status, here, `${there}`);
    assert.equal(response.headers.location, undefined);
    if (here === there) assert.equal(response.text(), 'words');
  }
  behind.answer = () => {};
  const silent = await device.post('start');
  assert.deepEqual([silent.status, silent.text()], [504, 'UPSTREAM_SLOW']);
});

test('a server behind that is down: people sign in, keep their keys, read why, and `/ready` says no', async (t) => {
  const gateway = await startGateway(t, 'http://127.0.0.1:1/');
  const device = await gateway.device();
  const meta = await device.post('meta');
  assert.match((meta.json() as { msg: string }).msg, /cannot be reached/);
  assert.equal((await device.post('start')).status, 502);
  assert.equal((await device.get('ready')).status, 503);
  assert.equal((await device.get('health')).status, 200);
});

test('maintenance holds at a gateway too', async (t) => {
  const behind = await standIn(t);
  const gateway = await startGateway(t, behind.url);
  const device = await gateway.device();
  gateway.sync.maintenance('Back at nine.');
  assert.equal(((await device.post('meta')).json() as { msg: string }).msg, 'Back at nine.');
  assert.equal(behind.seen.length, 0);
  gateway.sync.maintenance(undefined);
  assert.equal((await device.post('meta')).text(), '{}');
});

test('a gateway answers fetch handlers as well, with bodies in both directions', async (t) => {
  const behind = await standIn(t);
  const gateway = await startGateway(t, behind.url);
  const { key } = await gateway.device();
  const bytes = randomBytes(300 * KIB);
  behind.answer = (_req, res, { body }) => res.writeHead(200, { 'anki-original-size': '1' }).end(body);
  const handler = fetchSync(gateway.sync);
  const request = new Request('http://gateway.example/sync/upload', {
    method: 'POST', headers: { 'anki-sync': JSON.stringify({ v: 11, k: key, c: 'x', s: '' }) }, body: new Uint8Array(bytes),
  });
  const response = await handler(request);
  assert.deepEqual([response.status, response.headers.get('anki-original-size')], [200, '1']);
  assert.ok(Buffer.from(await response.arrayBuffer()).equals(bytes));
});

test('no key and no password of the server behind is in the log, or in an answer', async (t) => {
  const behind = await standIn(t);
  const gateway = await startGateway(t, behind.url);
  const device = await gateway.device();
  await device.post('meta');
  behind.answer = (_req, res) => res.writeHead(403).end();
  await device.post('meta');
  await device.post('start');
  assert.ok(gateway.log.some(({ code }) => code === 'UPSTREAM_REFUSED'));
  assert.doesNotMatch(JSON.stringify(gateway.log), /canary/);
});

test('the account page has devices and app passwords, and no page about cards, which are elsewhere', async (t) => {
  const behind = await standIn(t);
  const gateway = await startGateway(t, behind.url);
  const device = await gateway.device();
  await device.post('meta');
  const visitor = new Visitor(gateway.url);
  await visitor.signIn('kim', PASSWORD);
  const page = await visitor.get('/devices');
  assert.equal(page.status, 200);
  assert.match(page.text, /\/account\/app-passwords"/);
  assert.doesNotMatch(page.text, /\/account\/collection"/);
  for (const path of ['/collection', '/delete']) assert.equal((await visitor.get(path)).status, 404, path);
});

test('wrong options are told by name, and no password is quoted', () => {
  const good = { url: 'http://127.0.0.1:1/', users: { kim: THERE } };
  const cases: [unknown, RegExp][] = [
    [undefined, /"upstream" must be an object/],
    [{ ...good, url: 'localhost:8080' }, /"upstream\.url"/],
    [{ ...good, url: 'http://kim:canary@localhost/' }, /without a user/],
    [{ url: good.url }, /"users" or "sharedPassword"/],
    [{ ...good, users: { kim: { user: 'k', passwort: 'canary' } } }, /"kim" must be a password/],
    [{ ...good, user: {} }, /unknown option "upstream\.user".*users/],
    [{ ...good, timeoutMillis: 0 }, /"upstream\.timeoutMillis"/],
  ];
  for (const [upstream, words] of cases) {
    assert.throws(() => createGateway({ upstream } as GatewayOptions), (error: Error) => words.test(error.message) && !error.message.includes('canary'), String(words));
  }
  assert.throws(() => requireProxyLibrary(() => {
    throw new Error('not found');
  }), /npm install http-proxy-3/);
});

test('a small request keeps its Content-Length', async (t) => {
  const behind = await standIn(t);
  const gateway = await startGateway(t, behind.url);
  const device = await gateway.device();
  await device.post('meta', Buffer.from('12345'), { packed: true, chunked: false });
  assert.deepEqual([behind.seen[0]!.headers['content-length'], behind.seen[0]!.headers['transfer-encoding']], ['5', undefined]);
  // and what node:http makes of a request without a body
  const req = request(`${gateway.url}sync/meta`, { method: 'POST', headers: { 'anki-sync': JSON.stringify({ v: 11, k: device.key, c: 'x', s: '' }) } }).end();
  const [res] = await once(req, 'response');
  res.resume();
  assert.equal(res.statusCode, 200);
});

/** One line per request, with what an operator needs and without a secret. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { constants, zstdCompressSync } from 'node:zlib';
import type { RawClient, RawResponse } from '../client/raw.ts';
import { card, note } from '../collection/objects.ts';
import { Player } from '../collection/player.ts';
import { uploadZip } from '../media/raw-zip.ts';
import { changedBy, someCollection } from './collection-bytes.ts';
import { PASSWORD, runningServer, type RunningServer } from './running-server.ts';
import { until } from './until.ts';

test('each request is one line: method, user, client, version, status, time, address', async () => {
  await using server = await runningServer();
  const user = await server.user('ann');
  await user.post('meta', { v: 11, cv: 'test' }, { client: 'anki,26.9.3,lin', version: 10 });
  await user.get('health');
  await user.get('nothing?k=key');
  const lines = server.log.filter(({ request }) => request !== 'users');
  assert.equal(lines.length, 4);
  const [login, meta, health, nothing] = lines;
  assert.equal(login!.request, 'hostKey');
  assert.equal(login!.user, 'ann');
  const { ms, address, ...rest } = meta!;
  assert.deepEqual(rest, {
    level: 'info', request: 'meta', status: 200, user: 'ann', client: 'anki,26.9.3,lin', version: 10, receivedBytes: 20, sentBytes: meta!.sentBytes,
  });
  assert.ok(meta!.sentBytes! > 50);
  assert.ok(ms >= 0);
  assert.match(address!, /127\.0\.0\.1/);
  assert.deepEqual([health!.request, health!.status], ['GET /health', 200]);
  assert.deepEqual([nothing!.request, nothing!.status, nothing!.level, nothing!.code], ['GET /nothing', 404, 'warn', 'PATH_UNKNOWN']);
});

test('a client that says too much about itself is cut short', async () => {
  await using server = await runningServer();
  const user = await server.user('ann');
  await user.post('meta', { v: 11, cv: 'test' }, { client: 'x'.repeat(5000) });
  assert.equal(server.log.at(-1)!.client, 'x'.repeat(200));
});

test('what a wrong setting is likely to be is said to the operator alone', async () => {
  await using server = await runningServer();
  const user = await server.user('ann');
  const wrong: [Promise<RawResponse>, RegExp][] = [
    [user.get('sync/meta'), /https:\/\//],
    [user.send('POST', 'meta', {}), /lacks \/sync\//],
    [user.send('POST', 'anki/mediaSanity', {}), /lacks \/msync\//],
    [user.post('meta', {}, { syncHeader: null }), /proxy that drops unknown headers/],
  ];
  for (const [asking, hint] of wrong) {
    const { body } = await asking;
    assert.ok(server.log.some(({ detail }) => hint.test(detail ?? '')), String(hint));
    assert.doesNotMatch(body.toString(), hint);
  }
});

test('a log that throws is no reason to fail a request', async () => {
  await using server = await runningServer({
    log: () => {
      throw new Error('disk full');
    },
  });
  const user = new Player(await server.newUser());
  await user.begin();
  assert.equal((await user.client.post('upload', Buffer.from('garbage'))).status, 200);
});

describe('no line and no answer repeats', () => {
  const SECRET = 'canary-7b1f';
  const wrongPassword = `${SECRET}-password`;
  const inNotes = `${SECRET}-note`;

  type Bad = [sentence: string, ask: (user: RawClient) => Promise<unknown>];
  const header = (user: RawClient, text: string): Promise<RawResponse> => user.post('meta', { v: 11, cv: '' }, { syncHeader: text });
  const login = (user: RawClient, body: unknown): Promise<RawResponse> => user.post('hostKey', body as object, { key: '' });
  const BAD: Bad[] = [
    ['a wrong password', (user) => login(user, { u: 'ann', p: wrongPassword })],
    ['the password of an unknown user', (user) => login(user, { u: 'nobody', p: wrongPassword })],
    ['a password in JSON that ends early', (user) => login(user, `{"u":"ann","p":"${wrongPassword}"`)],
    ['a password in JSON with a comma too many', (user) => login(user, `{"u":"ann","p":"${wrongPassword}",}`)],
    ['a password alone', (user) => login(user, { p: wrongPassword })],
    ['a password of a wrong type', (user) => login(user, { u: 'ann', p: [wrongPassword] })],
    ['a password as text', (user) => login(user, wrongPassword)],
    ['a password in a body that is not packed', (user) => user.post('hostKey', Buffer.from(`{"u":"ann","p":"${wrongPassword}"}`), { packed: true, key: '' })],
    ['a password with bytes that are not UTF-8', (user) => login(user, Buffer.concat([Buffer.from(`{"u":"ann","p":"${wrongPassword}`), Buffer.from([0xff]), Buffer.from('"}')]))],
    ['an unknown key', (user) => user.post('meta', {}, { key: `${SECRET}-key` })],
    ['an unknown key in a media request', (user) => user.msync('mediaChanges', {}, { key: `${SECRET}-key` })],
    ['a key in the query', (user) => user.get(`msync/begin?k=${SECRET}-key&v=test`)],
    ['a key in the query of an unknown path', (user) => user.get(`nothing?k=${SECRET}-key`)],
    ['a header that is cut', (user) => header(user, `{"v":11,"k":"${SECRET}-key","c":"`)],
    ['a header that is not JSON', (user) => header(user, `k=${SECRET}-key`)],
    ['a header with a wrong version', (user) => header(user, JSON.stringify({ v: 12, k: `${SECRET}-key`, c: '', s: '' }))],
    ['a header whose version is a secret', (user) => header(user, JSON.stringify({ v: `${SECRET}-key`, k: '', c: '', s: '' }))],
    ['a header whose key is a list', (user) => header(user, JSON.stringify({ v: 11, k: [`${SECRET}-key`], c: '', s: '' }))],
    ['a header without a session key', (user) => header(user, JSON.stringify({ v: 11, k: `${SECRET}-key`, c: '' }))],
    ['a session key that holds no sync', (user) => user.post('chunk', {}, { sessionKey: `${SECRET}-session` })],
    ['a form of an old client', (user) => user.post('meta', Buffer.from(`--x\r\ncontent-disposition: form-data; name="k"\r\n\r\n${SECRET}-key\r\n--x--`), {
      syncHeader: null, packed: true, headers: { 'content-type': 'multipart/form-data; boundary=x' },
    })],
    ['a note that does not fit', async (user) => {
      await new Player(user).start();
      return user.post('applyChunk', { chunk: { done: true, notes: [note({ flds: inNotes })] } });
    }],
    ['a row with a wrong column', (user) => user.post('applyChunk', { chunk: { done: true, cards: [card({ reps: inNotes })] } })],
    ['rows in JSON that ends early', (user) => user.post('applyChunk', `{"chunk":{"notes":[[1,"${inNotes}"`)],
    ['config that makes no sense', (user) => user.post('applyChanges', { changes: { models: [], decks: [[], []], tags: [], conf: inNotes } })],
    ['an upload of garbage', (user) => user.post('upload', Buffer.from(inNotes.repeat(1000)))],
    ['an upload that is cut', async (user) => user.post('upload', (await withSecret(user)).subarray(0, -5000))],
    ['an upload of a newer schema', async (user) => user.post('upload', await changedBy(await withSecret(user), 'UPDATE col SET ver = 19'))],
    ['an upload whose data end early', async (user) => user.post('upload', uncompressed(await withSecret(user)).subarray(0, -5), { packed: true })],
    ['media that are no zip', (user) => user.msync('uploadChanges', Buffer.from(inNotes))],
    ['media whose index makes no sense', (user) => user.msync('uploadChanges', uploadZip([['a.png', inNotes], ['..', inNotes]]))],
  ];

  /** Nothing in it is packed, so that the secret is there to be found. */
  function uncompressed(bytes: Buffer): Buffer {
    return zstdCompressSync(bytes, { params: { [constants.ZSTD_c_compressionLevel]: -100 } });
  }

  async function withSecret(user: RawClient): Promise<Buffer> {
    return changedBy(await someCollection(user), `UPDATE notes SET flds = '${inNotes}', guid = '${SECRET}'`);
  }

  function assertSilent(server: RunningServer, lines: number, answers: string): void {
    const log = JSON.stringify(server.log.slice(lines), (_key, value: unknown) => (value instanceof Error ? value.stack : value));
    assert.ok(server.log.length > lines, 'the log is not empty');
    for (const secret of [SECRET, PASSWORD]) {
      assert.ok(!log.includes(secret), `the log says ${secret}: ${log}`);
      assert.ok(!answers.includes(secret), `the answer says ${secret}: ${answers}`);
    }
  }

  for (const [sentence, ask] of BAD) {
    test(sentence, async (t) => {
      const server = await shared();
      const user = await server.newUser();
      const lines = server.log.length;
      const response = (await ask(user)) as RawResponse;
      assert.ok(response.status >= 400 || /corrupt|newer/.test(response.text()), `${t.name}: ${response.status} ${response.text()}`);
      assertSilent(server, lines, `${response.text()}${JSON.stringify(response.headers)}`);
      assert.ok(!JSON.stringify(server.log).includes(user.key), 'the key of a signed-in user');
    });
  }

  test('a password or key whose sender went away', async () => {
    const server = await shared();
    const user = await server.newUser();
    const lines = server.log.length;
    for (const path of ['sync/hostKey', 'sync/applyChunk']) {
      const gone = server.log.length;
      const request = user.open(path, { sessionKey: `${SECRET}-session` });
      await request.write(zstdCompressSync(Buffer.from(`{"u":"ann","p":"${wrongPassword}"}`)).subarray(0, -2));
      // the head must have come for the request to be one
      const again = await user.get('health');
      assert.equal(again.status, 200);
      request.destroy();
      await until(() => server.log.slice(gone).some(({ code }) => code === 'CLIENT_GONE'));
    }
    assertSilent(server, lines, '');
  });

  let running: Promise<RunningServer> | undefined;
  function shared(): Promise<RunningServer> {
    return (running ??= runningServer());
  }
  test.after(async () => (await running)?.stop());
});

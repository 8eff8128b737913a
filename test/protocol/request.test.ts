import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { inspect } from 'node:util';
import type { HttpRequest } from '../../lib/http.ts';
import { openSyncRequest, requireHostKey, requireSessionKey, type SyncRequest } from '../../lib/protocol/request.ts';
import { SYNC_VERSIONS } from '../../lib/protocol/version.ts';
import { NO_FILES } from './sync-requests.ts';

const HEADER = { v: 11, k: 'host key', c: 'anki,26.09.3 (abc),mac:15', s: 'Ab3' };

/** A body that must not be touched. */
const UNREAD: AsyncIterable<Uint8Array> = {
  [Symbol.asyncIterator]: () => assert.fail('the body was read before the envelope was judged'),
};

function opened(headers: HttpRequest['headers'], method: 'meta' | 'start' | 'hostKey' = 'meta'): Promise<SyncRequest> {
  return openSyncRequest({ method: 'POST', url: `/sync/${method}`, headers, body: UNREAD }, { kind: 'sync', method }, NO_FILES);
}

const withHeader = (header: unknown): HttpRequest['headers'] => ({ 'anki-sync': typeof header === 'string' ? header : JSON.stringify(header) });

describe('the anki-sync header', () => {
  test('names version, keys and client, and unknown keys are ignored', async () => {
    const { version, hostKey, sessionKey, client, kind, method, body } = await opened({
      ...withHeader({ ...HEADER, new: [1] }),
      'content-length': '17',
    });
    assert.deepEqual({ version, hostKey, sessionKey, client, kind, method }, {
      version: 11, hostKey: 'host key', sessionKey: 'Ab3', client: 'anki,26.09.3 (abc),mac:15', kind: 'sync', method: 'meta',
    });
    assert.equal(body.contentLength, 17);
    assert.equal(body.bytes, UNREAD);
  });

  test('may carry text beyond ASCII as JSON escapes', async () => {
    assert.equal((await opened(withHeader('{"v":11,"k":"","c":"\\u00e9","s":""}'))).client, 'é');
  });

  test('is refused when it is no JSON, lacks a key, or has one of another type', async () => {
    const wrong = [
      '', '{', 'null', '1', '"x"', '{"v":11}', '[]', ...(['v', 'k', 'c', 's'] as const).map((key) => ({ ...HEADER, [key]: undefined })),
      { ...HEADER, v: '11' }, { ...HEADER, v: 11.5 }, { ...HEADER, v: null }, { ...HEADER, k: 1 }, { ...HEADER, c: {} }, { ...HEADER, s: null },
      '{"v":11,"k":"","c":"\u00e9","s":""}', '{"v":11,"k":"","c":"\\ud800","s":""}',
    ];
    for (const header of wrong) await assert.rejects(opened(withHeader(header)), { code: 'SYNC_HEADER_INVALID', status: 400 }, inspect(header));
  });

  test('is refused with a version outside of 8 to 11', async () => {
    for (const v of [8, 9, 10, 11]) assert.equal((await opened(withHeader({ ...HEADER, v }))).version, v);
    for (const v of [7, 12, 0, -1, 300, 1e300]) {
      await assert.rejects(opened(withHeader({ ...HEADER, v })), { code: 'SYNC_VERSION_UNSUPPORTED', status: 400 }, `${v}`);
    }
  });

  test('never shows in an error, since it holds the key', async () => {
    for (const header of ['{"k":"SECRET"', '{"v":12,"k":"SECRET","c":"","s":""}', '{"v":11,"k":["SECRET"]}', 'SECRET']) {
      await assert.rejects(opened(withHeader(header)), (error) => !inspect(error, { depth: 9 }).includes('SECRET'), header);
    }
  });

  test('may be missing in a multipart form only, and is stronger than one', async () => {
    await assert.rejects(opened({}), { code: 'SYNC_HEADER_INVALID', status: 400 });
    await assert.rejects(opened({ 'content-type': 'application/octet-stream' }), { code: 'SYNC_HEADER_INVALID' });
    await assert.rejects(opened({ 'content-type': 'multipart/form-data' }), { code: 'BODY_INVALID' });
    await opened({ ...withHeader(HEADER), 'content-type': 'multipart/form-data; boundary=x' });
  });
});

describe('keys', () => {
  test('an empty host key is told that one is expected, except on login', async () => {
    const request = await opened(withHeader({ ...HEADER, k: '' }));
    assert.throws(() => requireHostKey(request), { code: 'AUTH_EXPECTED', status: 400, message: 'expected auth' });
    requireHostKey(await opened(withHeader({ ...HEADER, k: '' }), 'hostKey'));
    requireHostKey(await opened(withHeader(HEADER)));
  });

  test('an empty session key is refused where a running sync is meant', async () => {
    const request = await opened(withHeader({ ...HEADER, s: '' }), 'start');
    assert.throws(() => requireSessionKey(request), { code: 'SESSION_KEY_MISSING', status: 400 });
    requireSessionKey(await opened(withHeader({ ...HEADER, s: '' })));
    requireSessionKey(await opened(withHeader(HEADER), 'start'));
  });
});

test('a version implies its envelope, whether answers are packed, and which schema its clients can open', () => {
  assert.deepEqual(SYNC_VERSIONS[11], { envelope: 'header', zstdAnswer: true, newestDownloadSchema: 18 });
  for (const version of [8, 9, 10] as const) {
    assert.deepEqual(SYNC_VERSIONS[version], { envelope: 'multipart', zstdAnswer: false, newestDownloadSchema: 11 });
  }
});

/** Our answers to good and bad envelopes beside the official server's. */
import assert from 'node:assert/strict';
import { request as httpRequest } from 'node:http';
import { after, before, describe, test } from 'node:test';
import { zstdCompressSync, zstdDecompressSync } from 'node:zlib';
import { SyncError } from '../../lib/errors.ts';
import type { HttpResponse } from '../../lib/http.ts';
import { DEFAULT_BODY_LIMITS } from '../../lib/protocol/body-limits.ts';
import { readEmptyBody, readJsonBody } from '../../lib/protocol/json-body.ts';
import { openSyncRequest, requireHostKey, requireSessionKey } from '../../lib/protocol/request.ts';
import { errorResponse, packedResponse } from '../../lib/protocol/response.ts';
import { routeOf } from '../../lib/protocol/route.ts';
import { startOfficialServer, type OfficialServer } from '../oracle/official-server.ts';
import { NO_FILES, pieces } from './sync-requests.ts';
import { EMPTY_FRAME, frameStart, skippableFrame } from './zstd-samples.ts';

interface Sent {
  httpMethod?: string;
  path?: string;
  header?: string | null;
  headers?: Record<string, string>;
  body?: Buffer;
}

let official: OfficialServer;
let key = '';
before(async () => {
  official = await startOfficialServer({ users: { ann: 'secret' } });
  const answer = await ask({ path: '/sync/hostKey', header: header({ k: '' }), body: zstdCompressSync(Buffer.from('{"u":"ann","p":"secret"}')) });
  key = JSON.parse(zstdDecompressSync(answer.body).toString()).key;
});
after(() => official?.stop());

function header(fields: Record<string, unknown> = {}): string {
  return JSON.stringify({ v: 11, k: key, c: 'anki,26.09.3 (test),lin:12', s: 'session', ...fields });
}

function ask(sent: Sent): Promise<{ status: number; headers: NodeJS.Dict<string | string[]>; body: Buffer }> {
  return new Promise((resolve, reject) => {
    const url = new URL(official.url);
    const value = sent.header === undefined ? header() : sent.header;
    const req = httpRequest(
      {
        host: url.hostname, port: url.port, path: sent.path ?? '/sync/meta', method: sent.httpMethod ?? 'POST', agent: false,
        headers: { ...(value === null ? {} : { 'anki-sync': value }), ...sent.headers, 'transfer-encoding': 'chunked' },
      },
      (res) => {
        res.toArray().then((all) => resolve({ status: res.statusCode ?? 0, headers: res.headers, body: Buffer.concat(all) }), reject);
      },
    );
    req.on('error', reject);
    req.end(sent.body ?? Buffer.alloc(0));
  });
}

/** The way of a request through this room, with the official server's order, and `null` where a step would answer. */
async function answer(sent: Sent): Promise<HttpResponse> {
  try {
    const value = sent.header === undefined ? header() : sent.header;
    const headers = { ...(value === null ? {} : { 'anki-sync': value }), ...sent.headers };
    const http = { method: sent.httpMethod ?? 'POST', url: sent.path ?? '/sync/meta', headers, body: pieces(sent.body ?? Buffer.alloc(0)) };
    const route = routeOf(http.method, http.url);
    if (!('method' in route)) return { status: 200, headers: {}, body: Buffer.alloc(0) };
    const request = await openSyncRequest(http, route, NO_FILES);
    requireHostKey(request);
    if (request.hostKey !== key) throw new SyncError('HOST_KEY_UNKNOWN', 'invalid hkey');
    requireSessionKey(request);
    if (request.spec.input === 'empty') await readEmptyBody(request, DEFAULT_BODY_LIMITS);
    else {
      try {
        JSON.parse((await readJsonBody(request, DEFAULT_BODY_LIMITS)).toString());
      } catch (error) {
        if (error instanceof SyntaxError) throw new SyncError('BODY_NOT_JSON', 'the body is not JSON');
        throw error;
      }
    }
    return await packedResponse(request.version, 'null');
  } catch (error) {
    return errorResponse(error);
  }
}

const META = Buffer.from('{"v":11,"cv":"anki,26.09.3"}');
const META_FRAME = zstdCompressSync(META);
const ABORT = { path: '/sync/abort' };
const packed = (text: string | Buffer): Buffer => zstdCompressSync(Buffer.from(text as string));

/** Built when the key is known. */
const SAME: Record<string, () => Sent> = {
  'a good meta': () => ({ body: META_FRAME }),
  'no header and no multipart': () => ({ header: null, body: META_FRAME }),
  'a header that is no JSON': () => ({ header: 'x', body: META_FRAME }),
  'a header without s': () => ({ header: header({ s: undefined }), body: META_FRAME }),
  'a header without c': () => ({ header: header({ c: undefined }), body: META_FRAME }),
  'a header with a version as text': () => ({ header: header({ v: '11' }), body: META_FRAME }),
  'a header with one more key': () => ({ header: header({ z: 1 }), body: META_FRAME }),
  'a header with escapes': () => ({ header: `{"v":11,"k":"${key}","c":"\\u00e9","s":"s"}`, body: META_FRAME }),
  'a header with raw Latin-1': () => ({ header: `{"v":11,"k":"${key}","c":"\u00e9","s":"s"}`, body: META_FRAME }),
  'a header with half a character': () => ({ header: `{"v":11,"k":"${key}","c":"\\ud800","s":"s"}`, body: META_FRAME }),
  'header version 12': () => ({ header: header({ v: 12 }), body: META_FRAME }),
  'header version 7': () => ({ header: header({ v: 7 }), body: META_FRAME }),
  'header version 300': () => ({ header: header({ v: 300 }), body: META_FRAME }),
  'header version 10': () => ({ header: header({ v: 10 }), body: META_FRAME }),
  'header version 8': () => ({ header: header({ v: 8 }), body: META_FRAME }),
  'header version 10 and an unpacked body': () => ({ header: header({ v: 10 }), body: META }),
  'a header in a multipart form': () => ({ headers: { 'content-type': 'multipart/form-data; boundary=x' }, body: META_FRAME }),
  'an unknown key': () => ({ header: header({ k: 'unknown' }), body: META_FRAME }),
  'start without session key': () => ({ path: '/sync/start', header: header({ s: '' }), body: packed('{"minUsn":0,"lnewer":true}') }),
  'an empty body in meta': () => ({}),
  'an empty body in abort': () => ABORT,
  'an empty frame in abort': () => ({ ...ABORT, body: EMPTY_FRAME }),
  'abort': () => ({ ...ABORT, body: packed('{}') }),
  'abort with blanks': () => ({ ...ABORT, body: packed(' { }\n') }),
  'abort with an empty list': () => ({ ...ABORT, body: packed('[]') }),
  'abort with an unknown field': () => ({ ...ABORT, body: packed('{"a":1}') }),
  'abort with null': () => ({ ...ABORT, body: packed('null') }),
  'abort with more after the object': () => ({ ...ABORT, body: packed('{} x') }),
  'abort with a byte order mark': () => ({ ...ABORT, body: packed('\ufeff{}') }),
  'a body that is not packed': () => ({ body: META }),
  'a truncated body': () => ({ body: META_FRAME.subarray(0, -2) }),
  'a body of two bytes': () => ({ body: META_FRAME.subarray(0, 2) }),
  'a trailing empty frame': () => ({ body: Buffer.concat([META_FRAME, EMPTY_FRAME]) }),
  'a trailing skippable frame': () => ({ body: Buffer.concat([META_FRAME, skippableFrame(5)]) }),
  'a leading skippable frame': () => ({ body: Buffer.concat([skippableFrame(5), META_FRAME]) }),
  'a leading empty frame': () => ({ body: Buffer.concat([EMPTY_FRAME, META_FRAME]) }),
  'a window of 256 MiB': () => ({ body: Buffer.concat([frameStart(18 << 3), Buffer.from([1 | (META.length << 3), 0, 0]), META]) }),
  'a window of 128 MiB': () => ({ body: Buffer.concat([frameStart(17 << 3), Buffer.from([1 | (META.length << 3), 0, 0]), META]) }),
  'a dictionary': () => ({ body: Buffer.concat([Buffer.from('28b52ffd2107', 'hex'), Buffer.from([META.length, 1 | (META.length << 3), 0, 0]), META]) }),
  'dictionary 0': () => ({ body: Buffer.concat([Buffer.from('28b52ffd2100', 'hex'), Buffer.from([META.length, 1 | (META.length << 3), 0, 0]), META]) }),
  'a frame that says one byte too many': () => ({ body: Buffer.from(META_FRAME).fill(META.length + 1, 5, 6) }),
  'a frame that says one byte too few': () => ({ body: Buffer.from(META_FRAME).fill(META.length - 1, 5, 6) }),
  'text that is not UTF-8': () => ({ body: packed(Buffer.from('7b2276223a31312c226376223a22ff227d', 'hex')) }),
  'bad JSON': () => ({ body: packed('{"v":11,') }),
  'an unknown method': () => ({ path: '/sync/bogus', body: META_FRAME }),
  'an unknown method without a header': () => ({ path: '/sync/bogus', header: null }),
  'a method in capitals': () => ({ path: '/sync/META', body: META_FRAME }),
  'an escaped method': () => ({ path: '/sync/%6deta', body: META_FRAME }),
  'a query': () => ({ path: '/sync/meta?x=1', body: META_FRAME }),
  'more after the method': () => ({ path: '/sync/meta/x', body: META_FRAME }),
  'no method': () => ({ path: '/sync/' }),
  'a path that is nothing': () => ({ path: '/foo' }),
  'GET of a method': () => ({ httpMethod: 'GET' }),
  'GET of an unknown method': () => ({ httpMethod: 'GET', path: '/sync/bogus' }),
  'PUT of a method': () => ({ httpMethod: 'PUT' }),
  'GET of the health check': () => ({ httpMethod: 'GET', path: '/health', header: null }),
  'POST to /': () => ({ path: '/' }),
};

/** Status there, status here. */
const BETTER: Record<string, [number, number, () => Sent]> = {
  'a doubled slash': [404, 200, () => ({ path: '//sync/meta', body: META_FRAME })],
  'a slash at the end': [404, 200, () => ({ path: '/sync/meta/', body: META_FRAME })],
  'garbage after the frame': [200, 400, () => ({ body: Buffer.concat([META_FRAME, Buffer.from('garbage')]) })],
  'a second frame': [200, 400, () => ({ body: Buffer.concat([META_FRAME, META_FRAME]) })],
  'an empty key': [403, 400, () => ({ header: header({ k: '' }), body: META_FRAME })],
  'a page at /': [404, 200, () => ({ httpMethod: 'GET', path: '/', header: null })],
};

describe('an envelope is answered as the official server does:', () => {
  for (const [name, sent] of Object.entries(SAME)) {
    test(name, async () => {
      const [theirs, ours] = await Promise.all([ask(sent()), answer(sent())]);
      assert.equal(ours.status, theirs.status);
      if (theirs.status !== 200 || ours.headers['content-type'] === undefined) return;
      assert.equal('anki-original-size' in ours.headers, 'anki-original-size' in theirs.headers);
    });
  }
});

describe('an envelope is answered better than by the official server:', () => {
  for (const [name, [there, here, sent]] of Object.entries(BETTER)) {
    test(name, async () => {
      assert.deepEqual([(await ask(sent())).status, (await answer(sent())).status], [there, here]);
    });
  }
});

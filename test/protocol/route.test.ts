import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { SyncError } from '../../lib/errors.ts';
import { MEDIA_METHODS, methodSpec, SYNC_METHODS } from '../../lib/protocol/methods.ts';
import { routeOf } from '../../lib/protocol/route.ts';

function refusal(httpMethod: string, url: string): SyncError {
  try {
    routeOf(httpMethod, url);
  } catch (error) {
    assert.ok(error instanceof SyncError);
    return error;
  }
  assert.fail(`${httpMethod} ${url} was not refused`);
}

describe('a path', () => {
  test('leads to each of the 12 and 5 methods', () => {
    assert.equal(Object.keys(SYNC_METHODS).length, 12);
    assert.equal(Object.keys(MEDIA_METHODS).length, 5);
    for (const method of Object.keys(SYNC_METHODS)) assert.deepEqual(routeOf('POST', `/sync/${method}`), { kind: 'sync', method });
    for (const method of Object.keys(MEDIA_METHODS)) assert.deepEqual(routeOf('POST', `/msync/${method}`), { kind: 'media', method });
  });

  test('may have mistyped slashes, a prefix, a doubled family, escapes and a query', () => {
    for (const url of [
      '//sync/meta', '/sync/meta/', '/sync//meta', '//sync//meta//', '/sync/sync/meta', '/msync/sync/meta', '/anki/sync/meta', '/sync/meta?x=1/2',
      '/sync/%6deta', '/sync/meta#x',
    ]) {
      assert.deepEqual(routeOf('POST', url), { kind: 'sync', method: 'meta' }, url);
    }
    for (const url of ['/msync/msync/begin', '/sync/msync/begin', '/msync//begin', '/msync/begin/']) {
      assert.deepEqual(routeOf('POST', url), { kind: 'media', method: 'begin' }, url);
    }
  });

  test('of an examination leads there, wherever methods do', () => {
    for (const url of ['/sync/doctor', '/msync/doctor?wait=1', '/anki//sync/doctor/']) assert.deepEqual(routeOf('POST', url), { kind: 'doctor' }, url);
    assert.equal(refusal('GET', '/sync/doctor').code, 'HTTP_METHOD_WRONG');
    assert.equal(refusal('POST', '/doctor').code, 'PATH_UNKNOWN');
  });

  test('with an unknown method is a 400, and one without a method a 404', () => {
    for (const url of ['/sync/bogus', '/sync/META', '/sync/begin', '/msync/meta', '/sync/constructor', '/sync/__proto__', '/sync/%ff']) {
      assert.equal(refusal('POST', url).code, 'METHOD_UNKNOWN', url);
    }
    for (const url of ['/', '', '/sync', '/sync/', '/foo', '/sync/meta/x', '/health/x', '/health', '/%']) {
      assert.equal(refusal('POST', url).code, 'PATH_UNKNOWN', url);
    }
    assert.equal(refusal('GET', '/foo').code, 'PATH_UNKNOWN');
  });

  test('of a sync method takes POST only, and the log hears that the client was redirected', () => {
    for (const httpMethod of ['GET', 'HEAD', 'PUT', 'OPTIONS', 'DELETE']) {
      for (const url of ['/sync/meta', '/sync/bogus', '/msync/mediaChanges']) assert.equal(refusal(httpMethod, url).code, 'HTTP_METHOD_WRONG', url);
    }
    assert.match(refusal('GET', '/sync/meta').detail ?? '', /enter the https:\/\/ URL/);
    assert.equal(refusal('PUT', '/sync/meta').detail, undefined);
  });

  test('of the health check and of the page for people takes GET and HEAD', () => {
    for (const httpMethod of ['GET', 'HEAD']) {
      for (const url of ['/health', '/health/', '//health', '/health?x']) assert.deepEqual(routeOf(httpMethod, url), { kind: 'health' }, url);
      for (const url of ['/', '', '//', '/?x']) assert.deepEqual(routeOf(httpMethod, url), { kind: 'landing' }, url);
    }
  });

  test('may be the GET that begins a media sync of clients before 2.1.57, with the host key in its query', () => {
    for (const url of ['/msync/begin?k=key&v=2', '/msync/begin?v=2&k=key', '/msync/begin/?sk=key', '//msync//begin?k=key', '/begin?k=key']) {
      assert.deepEqual(routeOf('GET', url), { kind: 'media', method: 'begin' }, url);
    }
    for (const url of ['/msync/begin', '/msync/begin?v=2', '/begin', '/msync/mediaChanges?k=key']) {
      assert.equal(refusal('GET', url).code, 'HTTP_METHOD_WRONG', url);
    }
    assert.equal(refusal('HEAD', '/msync/begin?k=key').code, 'HTTP_METHOD_WRONG');
  });

  test('may be what AnkiDroid before 2.16 makes of a media URL that lacks its end', () => {
    for (const method of Object.keys(MEDIA_METHODS)) {
      for (const url of [`/${method}`, `//${method}`, `/msync${method}`, `/anki/msync${method}`]) assert.deepEqual(routeOf('POST', url), { kind: 'media', method }, url);
    }
    // others may have paths that end so
    for (const url of ['/app/begin', '/msyncmeta', '/syncbegin']) assert.equal(refusal('POST', url).code, 'PATH_UNKNOWN', url);
  });

  test('that lacks its family names the wrong setting for the log', () => {
    assert.match(refusal('POST', '/anki/begin').detail ?? '', /lacks \/msync\//);
    assert.match(refusal('POST', '/anki/meta').detail ?? '', /lacks \/sync\//);
  });
});

test('only the login needs no host key, and only the steps of a normal sync a session key', () => {
  const routes = [
    ...(Object.keys(SYNC_METHODS) as (keyof typeof SYNC_METHODS)[]).map((method) => ({ kind: 'sync', method }) as const),
    ...(Object.keys(MEDIA_METHODS) as (keyof typeof MEDIA_METHODS)[]).map((method) => ({ kind: 'media', method }) as const),
  ];
  const those = (which: (spec: ReturnType<typeof methodSpec>) => boolean): string[] =>
    routes.filter((route) => which(methodSpec(route))).map((route) => route.method);
  assert.deepEqual(those((spec) => !spec.needsHostKey), ['hostKey']);
  assert.deepEqual(
    those((spec) => spec.needsSessionKey),
    ['start', 'applyGraves', 'applyChanges', 'chunk', 'applyChunk', 'sanityCheck2', 'finish'],
  );
  assert.deepEqual(those((spec) => spec.input === 'bytes'), ['upload', 'uploadChanges']);
  assert.deepEqual(those((spec) => spec.input === 'empty'), ['chunk', 'finish', 'abort', 'download']);
  assert.deepEqual(those((spec) => spec.bodyClass === 'json'), ['start', 'applyGraves', 'applyChanges', 'applyChunk']);
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { below, coveredBy, mountPathOption } from '../../adapters/mount-path.ts';

test('a mount path is taken with or without a slash at its end, and stands as it does in URLs', () => {
  for (const given of ['/anki', '/anki/', '/anki//']) assert.equal(mountPathOption(given), '/anki');
  for (const given of [undefined, '', '/']) assert.equal(mountPathOption(given), '');
  assert.equal(mountPathOption('/größe/x y'), '/gr%C3%B6%C3%9Fe/x%20y');
});

test('what is no path is refused and named', () => {
  for (const given of ['anki', 'https://example.org/anki', '/anki?x', '/anki#x']) {
    assert.throws(() => mountPathOption(given), (error: unknown) => error instanceof TypeError && error.message.includes(`"${given}"`));
  }
});

test('below a mount is what goes on after it, and not what only begins alike', () => {
  assert.equal(below('/anki', '/anki/sync/meta?x=1'), '/sync/meta?x=1');
  assert.equal(below('/anki', '/anki'), '/');
  assert.equal(below('/anki', '/anki?x=/anki'), '/?x=/anki');
  assert.equal(below('/anki', '/anki//sync'), '//sync');
  for (const url of ['/ankis', '/ankis/sync', '/x/anki/sync', '/', '?/anki']) assert.equal(below('/anki', url), undefined, url);
  assert.equal(below('', '/sync/meta'), '/sync/meta');
});

test('a pattern covers as many segments as it has before its wildcard', () => {
  assert.equal(coveredBy('/anki/*', '/anki/sync/meta'), '/anki');
  assert.equal(coveredBy('/anki/*', '/anki'), '/anki');
  assert.equal(coveredBy('/:team/anki/*', '/red/anki/sync/meta?x'), '/red/anki');
  assert.equal(coveredBy('/a/anki', '/a/anki?x=1'), '/a/anki');
  for (const pattern of ['', '/', '*', '/*']) assert.equal(coveredBy(pattern, '/sync/meta'), '');
});

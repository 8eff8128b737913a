import assert from 'node:assert/strict';
import test from 'node:test';
import { isWorthALine, logLine } from '../../lib/cli/access-log.ts';

const at = new Date(Date.UTC(2026, 10, 21, 10, 20, 30, 123));

test('one request is one line', () => {
  const line = logLine({ level: 'info', request: 'meta', status: 200, ms: 3.4, version: 11, client: 'anki,26.9.3 (abc),lin:x', user: 'Jürgen' }, at);
  assert.equal(line, '2026-11-21T10:20:30.123Z info meta 200 3ms user=Jürgen client="anki,26.9.3 (abc),lin:x" version=11');
});

test('text from outside cannot forge a line or reach the terminal', () => {
  const line = logLine({ level: 'info', request: 'POST /x\n2026 info', status: 404, ms: 0, client: 'a\u001b[31m\u2028b\u202ec"d\\' }, at);
  assert.match(line, /^[\p{L}\p{N}\p{P}\p{S} ]+$/u);
  assert.ok(line.startsWith('2026-11-21T10:20:30.123Z info POST "/x\\n2026" info 404 0ms '));
  assert.ok(line.endsWith('client="a\\u001b[31m\\u{2028}b\\u{202e}c\\"d\\\\"'));
});

test('health checks are only worth a line when they fail', () => {
  assert.equal(isWorthALine({ level: 'info', request: 'GET /health', status: 200, ms: 0 }), false);
  assert.equal(isWorthALine({ level: 'error', request: 'GET /health', status: 503, ms: 0 }), true);
  assert.equal(isWorthALine({ level: 'info', request: 'meta', status: 200, ms: 0 }), true);
});

import { spawnSync } from 'node:child_process';
import assert from 'node:assert/strict';
import test from 'node:test';
import { AccessLog, isWorthALine, logLine } from '../../lib/cli/access-log.ts';

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

test('lines of requests are gathered, and an error brings them out in their order', () => {
  const written: string[] = [];
  const log = new AccessLog((text) => written.push(text));
  log.add({ level: 'info', request: 'meta', status: 200, ms: 1 });
  log.add({ level: 'info', request: 'start', status: 200, ms: 1 });
  assert.deepEqual(written, []);
  log.add({ level: 'error', request: 'finish', status: 500, ms: 1 });
  assert.equal(written.length, 1);
  assert.match(written[0]!, /meta 200 1ms\n.*start 200 1ms\n.*finish 500 1ms\n$/);
  log.close();
  log.add({ level: 'info', request: 'meta', status: 200, ms: 1 });
  assert.equal(written.length, 2);
});

test('a line that says more than that a step was done is written at once', () => {
  for (const more of [{ level: 'warn' }, { event: 'login.ok' }, { detail: 'what was mended' }] as const) {
    const written: string[] = [];
    const log = new AccessLog((text) => written.push(text));
    log.add({ level: 'info', request: 'upload', status: 200, ms: 1, ...more });
    assert.equal(written.length, 1);
    log.close();
  }
});

test('gathered lines are written when the process ends by itself, also by an exception that nobody caught', async () => {
  const code = `import { AccessLog } from ${JSON.stringify(new URL('../../lib/cli/access-log.ts', import.meta.url).href)};
    new AccessLog((text) => process.stdout.write(text)).add({ level: 'info', request: 'meta', status: 200, ms: 1 });
    throw new Error('not caught');`;
  const { stdout } = spawnSync(process.execPath, ['--input-type=module', '--eval', code], { encoding: 'utf8' });
  assert.match(stdout, /meta 200 1ms\n$/);
});

/** What operators see of a running server: the log as JSON, metrics, status. */
import assert from 'node:assert/strict';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test, { type TestContext } from 'node:test';
import { createMetrics } from '../../lib/cli/metrics.ts';
import { observationFlags, observationSettings } from '../../lib/cli/observation-settings.ts';
import { duration, statusText } from '../../lib/cli/status.ts';
import { parseFlags } from '../../lib/cli/flags.ts';
import { UsageError } from '../../lib/cli/usage-error.ts';
import { RawClient } from '../client/raw.ts';
import { card } from '../collection/objects.ts';
import { Player } from '../collection/player.ts';
import { ankiSync, startServer, temporaryFolder, type RunningServer } from './command.ts';

const TOKEN = 'a-token-of-24-characters';

async function serverWithKim(t: TestContext, args: string[], env: Record<string, string> = {}): Promise<{ server: RunningServer; kim: Player; base: string }> {
  const base = await temporaryFolder(t);
  await ankiSync(['user', 'add', 'kim', '--base', base], { input: 'right-secret' });
  const server = await startServer(t, ['--port', '0', '--base', base, ...args], { env });
  const client = new RawClient(server.url, { client: 'anki,26.9.3,lin', sessionKey: 'session' });
  await client.hostKey('kim', 'right-secret');
  return { server, kim: new Player(client), base };
}

async function wholeSync(kim: Player): Promise<void> {
  await kim.begin();
  await kim.sync({ cards: [card({})] });
}

async function get(url: string, headers: Record<string, string> = {}): Promise<{ status: number; text: string }> {
  const response = await fetch(url, { headers });
  return { status: response.status, text: await response.text() };
}

test('LOG_FORMAT=json: every line is an object, with level and time; a finished sync tells what it moved; no secret in any', async (t) => {
  const { server, kim } = await serverWithKim(t, ['--log-format', 'json']);
  await kim.client.post('hostKey', { u: 'kim', p: 'wrong-secret' }, { key: '' });
  await wholeSync(kim);
  await server.line(/"event":"sync.done".*"kind":"normal"/);
  assert.equal(await server.stop(), 0);
  const entries = server.lines.map((line) => JSON.parse(line) as Record<string, any>);
  for (const { level, time } of entries) assert.deepEqual([['info', 'warn', 'error'].includes(level), Number.isNaN(Date.parse(time))], [true, false]);
  assert.ok(entries.some(({ msg }) => /^listening on /.test(msg)));
  const refused = entries.find(({ event }) => event === 'login.refused')!;
  assert.deepEqual([refused.level, refused.request, refused.status, refused.code], ['warn', 'hostKey', 403, 'PASSWORD_WRONG']);
  const done = entries.findLast(({ event, sync }) => event === 'sync.done' && sync.kind === 'normal')!;
  assert.deepEqual([done.user, done.client, done.sync.up.objects, done.sync.up.bytes > 0, done.ms > 0], ['kim', 'anki,26.9.3,lin', 1, true, true]);
  assert.doesNotMatch(server.lines.join('\n'), new RegExp(`-secret|${kim.client.key}|"session"`));
});

test('the log of text tells what a finished sync moved, and LOG_LEVEL=warn only what went wrong', async (t) => {
  const { server, kim } = await serverWithKim(t, []);
  await wholeSync(kim);
  await server.line(/ info sync 200 \d+ms event=sync\.done user=kim client=anki,26\.9\.3,lin .* kind=normal up=1\/\d+ down=\d+\/\d+$/);
  const quiet = await serverWithKim(t, ['--log-level', 'warn']);
  await wholeSync(quiet.kim);
  await quiet.kim.client.get('nothing');
  await quiet.server.line(/ warn GET \/nothing 404/);
  assert.deepEqual(quiet.server.lines.filter((line) => / info /.test(line)), []);
});

test('metrics on a port of their own: syncs, logins, failures, without a user name, and nothing of it on the port of syncs', async (t) => {
  const { server, kim } = await serverWithKim(t, ['--metrics', '0']);
  await kim.client.post('hostKey', { u: 'kim', p: 'wrong' }, { key: '' });
  await wholeSync(kim);
  await kim.client.get('kim/nothing');
  await kim.status('chunk');
  await server.line(/ chunk 409 /);
  const url = /http:\S+/.exec(await server.line(/^metrics for Prometheus at /))![0];
  const { status, text } = await get(url);
  assert.equal(status, 200);
  for (const line of [
    /^anki_sync_sync_duration_seconds_count\{kind="normal"\} [12]$/m, /^anki_sync_objects_total\{kind="normal",direction="up"\} [1-9]/m,
    /^anki_sync_logins_total\{outcome="ok"\} 1$/m, /^anki_sync_logins_total\{outcome="refused"\} 1$/m, /^anki_sync_failures_total\{code="PATH_UNKNOWN"\} 1$/m,
    /^anki_sync_conflicts_total\{code="SYNC_NOT_ACTIVE"\} 1$/m, /^anki_sync_open_collections 1$/m, /^anki_sync_request_duration_seconds_count\{method="finish"\} [12]$/m,
    /^anki_sync_bytes_total\{direction="up"\} [1-9]/m, /^anki_sync_disk_free_bytes [1-9]/m, /^process_resident_memory_bytes /m,
  ]) assert.match(text, line);
  assert.doesNotMatch(text, /kim/);
  assert.equal((await get(new URL('/elsewhere', url).href)).status, 404);
  assert.equal((await get(`${server.url}metrics`)).status, 404);
  assert.equal(await server.stop(), 0);
});

test('METRICS=path: at /metrics of the server, for whoever shows the token', async (t) => {
  const base = await temporaryFolder(t);
  await writeFile(join(base, 'token'), `${TOKEN}\n`);
  const server = await startServer(t, ['--port', '0', '--base', join(base, 'data'), '--metrics-token-file', join(base, 'token')], { env: { METRICS: 'path' } });
  for (const headers of [{}, { authorization: 'Bearer wrong' }, { authorization: TOKEN }]) {
    assert.deepEqual(await get(`${server.url}metrics`, headers as Record<string, string>), { status: 401, text: 'the token is missing or wrong\n' });
  }
  const { status, text } = await get(`${server.url}metrics`, { authorization: `Bearer ${TOKEN}` });
  assert.deepEqual([status, /^anki_sync_info\{version="\d/m.test(text)], [200, true]);
});

test('metrics are off unless asked for, and never open to others', () => {
  const settings = (env: Record<string, string>) => observationSettings(parseFlags([], observationFlags).flags, env);
  const refused = (env: Record<string, string>, words: RegExp) => assert.throws(() => settings(env), (error) => error instanceof UsageError && words.test(error.message));
  assert.deepEqual(settings({}), { format: 'text', leastLevel: undefined, metrics: undefined });
  assert.deepEqual(settings({ METRICS: '9464' }).metrics, { at: { host: '127.0.0.1', port: 9464 }, token: undefined });
  assert.deepEqual(settings({ METRICS: '[::1]:9464' }).metrics?.at, { host: '::1', port: 9464 });
  assert.deepEqual(settings({ METRICS: '0.0.0.0:9464', METRICS_TOKEN: TOKEN }).metrics?.at, { host: '0.0.0.0', port: 9464 });
  for (const where of ['0.0.0.0:9464', '[::]:9464', '10.0.0.1:9464', 'path']) refused({ METRICS: where }, /can be reached by others: set METRICS_TOKEN_FILE/);
  for (const where of ['yes', ':1', '127.0.0.1', '1:2:3', '99999']) refused({ METRICS: where }, /METRICS must be "path", a port/);
  refused({ METRICS_TOKEN: TOKEN }, /METRICS_TOKEN is set, but METRICS is not/);
  refused({ METRICS: 'path', METRICS_TOKEN: 'short' }, /at least 16 characters/);
  refused({ METRICS: 'path', METRICS_TOKEN: TOKEN, METRICS_TOKEN_FILE: '/x' }, /are both set: give one/);
  refused({ METRICS: 'path', METRICS_TOKEN_FILE: '/nowhere' }, /METRICS_TOKEN_FILE names a file that cannot be read \(ENOENT\)/);
  refused({ LOG_FORMAT: 'jsno' }, /text or json, not "jsno"\. Did you mean json\?/);
  refused({ LOG_LEVEL: 'wran' }, /Did you mean warn\?/);
  assert.equal(settings({ LOG_LEVEL: 'DEBUG' }).leastLevel, 'info');
});

test('no path, name or unknown code from outside becomes a label', async () => {
  const activity = { requests: [], syncs: [], openCollections: 0, threads: 0, queues: { users: 0, logins: 0, uploads: 0 } };
  const metrics = createMetrics({ version: '1', base: '.', activity: () => activity });
  for (let i = 0; i < 50; i++) {
    metrics.observe({ level: 'warn', request: `GET /evil-${i}`, status: 404, ms: 1, user: `evil-${i}`, code: `EVIL_${i}`, client: 'evil', address: 'evil' });
    metrics.observe({ level: 'info', request: 'upload', status: 200, ms: 0, user: 'evil', detail: 'a note beside a request' });
  }
  const text = await metrics.text();
  assert.doesNotMatch(text, /evil/i);
  assert.match(text, /^anki_sync_request_duration_seconds_count\{method="other"\} 50$/m);
  assert.doesNotMatch(text, /method="upload"/);
  assert.match(text, /^anki_sync_failures_total\{code="OTHER"\} 50$/m);
});

test('status tells who syncs, as the running server knows it', async (t) => {
  const { server, kim, base } = await serverWithKim(t, []);
  await kim.begin();
  await kim.start();
  const text = await ankiSync(['status', '--base', base]);
  assert.deepEqual([text.code, text.stderr], [0, '']);
  assert.match(text.stdout, new RegExp(`^anki-sync \\S+ at ${server.url}, process ${server.child.pid}, up \\d+ s\nmemory \\S+ MiB · open collections 1 · threads 1 `));
  assert.match(text.stdout, /^syncing\n {2}kim {2}normal {2}\d+ s {2}up .*, down .* {2}anki,26\.9\.3,lin$/m);
  const json = JSON.parse((await ankiSync(['status', '--json', '--base', base])).stdout) as { syncs: { user: string }[] };
  assert.deepEqual(json.syncs.map(({ user }) => user), ['kim']);
  await kim.finish();
  assert.match((await ankiSync(['status', '--base', base])).stdout, /^nobody is syncing$/m);
});

test('without a server, status says so', async (t) => {
  const base = await temporaryFolder(t);
  await mkdir(join(base, 'x'));
  assert.deepEqual(await ankiSync(['status', '--base', base]), { code: 1, stdout: '', stderr: `no server is running on ${base}\n` });
});

test('nothing from outside reaches the terminal as a code', () => {
  const text = statusText({
    version: '1', pid: 1, url: 'http://x/', uptimeSecs: 1, rssBytes: 1, openCollections: 1, threads: 1, queues: { users: 0, logins: 0, uploads: 0 },
    requests: [{ request: 'GET /\u001b[31m', runningMillis: 1, address: '\u001b]0;x' }],
    syncs: [{ kind: 'normal', user: 'a\u001b[2J', client: 'c\r\nx', up: { objects: 0, bytes: 1 }, down: { objects: 0, bytes: 1 }, runningMillis: 1, silentMillis: 9000 }],
  });
  assert.doesNotMatch(text, /[\u001b\r]/);
  assert.match(text, /silent for 9 s/);
  assert.deepEqual([5, 65, 3700, 90_000].map(duration), ['5 s', '1 min', '1 h 1 min', '1 day 1 h']);
});

/**
 * Canary secrets go through everything that a client does, with an authenticator whose errors quote what they were given. None may be in any
 * line of the log, as an object or as the standalone server prints it, nor in any metric, nor in any answer but the one that gives the key.
 */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { Authenticator } from '../../lib/auth/authenticator.ts';
import { openBuiltInAuth } from '../../lib/auth/built-in.ts';
import { readSyncUsers } from '../../lib/auth/env-users.ts';
import { jsonUsersAuthenticator } from '../../lib/auth/json-users.ts';
import { passportAuthenticator } from '../../lib/auth/passport.ts';
import { logLine } from '../../lib/cli/access-log.ts';
import { createMetrics } from '../../lib/cli/metrics.ts';
import { SyncError } from '../../lib/errors.ts';
import { RawClient, type RawResponse } from '../client/raw.ts';
import { uploadZip } from '../media/raw-zip.ts';
import { someCollection } from './collection-bytes.ts';
import { runningServer, type RunningServer } from './running-server.ts';
import { until } from './until.ts';

const RIGHT = 'canary-right "&/ü-1';
const WRONG = 'canary-wrong "&/ü-2';
const INNER = 'canary-inner-3';

/** What a secret may look like where it is quoted. */
function forms(secret: string): string[] {
  const bytes = Buffer.from(secret);
  return [secret, JSON.stringify(secret).slice(1, -1), JSON.stringify(JSON.stringify(secret)).slice(3, -3), encodeURIComponent(secret), bytes.toString('base64').replace(/=+$/, ''), bytes.toString('hex')];
}

function found(text: string, secrets: readonly string[]): string[] {
  return secrets.flatMap(forms).filter((form) => text.includes(form));
}

/** The log in both its forms, what happens now, and the metrics that are made of all this. */
async function everyLine({ log, server, base }: RunningServer): Promise<string> {
  assert.ok(log.length > 0, 'the log is empty');
  const metrics = createMetrics({ version: '0', base, activity: () => server.activity() });
  for (const entry of log) metrics.observe(entry);
  const measured = await metrics.text();
  assert.match(measured, /^anki_sync_answers_total\{status="403"\} [1-9]/m);
  return [measured, JSON.stringify(server.activity()), ...log.map((entry) => `${JSON.stringify(entry)}\n${logLine(entry, new Date(0))}`)].join('\n');
}

/** Each of these is a way in which libraries have quoted passwords. */
const QUOTING: [string, (password: string) => unknown][] = [
  ['a message', (password) => new Error(`bind(cn=ann, ${password}) failed`)],
  ['a form', (password) => new Error(`POST /token grant_type=password&password=${encodeURIComponent(password)}`)],
  ['a header', (password) => new Error(`authorization: Basic ${Buffer.from(password).toString('base64')}`)],
  ['JSON', (password) => new Error(JSON.stringify({ password }))],
  ['a text that is no error', (password) => `no ${password}`],
  ['a detail of our own errors', (password) => new SyncError('AUTH_UNAVAILABLE', 'down', { detail: `down: ${password}` })],
  ['a message of our own errors', (password) => new SyncError('AUTH_UNAVAILABLE', `down: ${password}`)],
  ['a refusal', (password) => new SyncError('PASSWORD_WRONG', `not ${password}`)],
];

function quoting(): Authenticator {
  return {
    async authenticate({ username, password }) {
      const way = QUOTING[Number(username.replace('quote', ''))];
      if (way !== undefined) throw way[1](password);
      return null;
    },
  };
}

test('the search for secrets finds them where they are', () => {
  for (const [what, quote] of QUOTING) {
    const error = quote(WRONG);
    const text = error instanceof SyncError ? `${error.detail} ${error.message}` : String(error);
    assert.ok(found(text, [WRONG]).length > 0, what);
  }
});

test('passwords, host keys and session keys are in no line and no answer', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'anki-sync-secrets-'));
  const file = join(folder, 'users.json');
  writeFileSync(file, JSON.stringify({ ann: RIGHT, eve: INNER }));
  const said: string[] = [];
  const users = jsonUsersAuthenticator({ file, dangerouslyAllowPlainPasswords: true, log: (_level, detail) => said.push(detail) });
  const strategy = passportAuthenticator({ authenticate(this: any, request: any) {
    if (request.body.username === 'passport') this.error(new Error(`no such person: ${JSON.stringify(request.body)}`));
    else this.fail(`${request.body.password} is wrong`);
  } });
  const server = await runningServer({ authenticator: [users, strategy, quoting()], loginLimits: { perUserAndAddress: 2 } });
  try {
    const answers: RawResponse[] = [];
    const login = async (u: string, p: string): Promise<void> => void answers.push(await new RawClient(server.url).post('hostKey', { u, p }));
    const user = new RawClient(server.url, { sessionKey: 'canary-session-4' });
    await user.hostKey('ann', RIGHT);
    for (let i = 0; i < 3; i++) await login('ann', WRONG);
    for (const i of QUOTING.keys()) await login(`quote${i}`, WRONG);
    await login('passport', WRONG);
    await login('nobody', WRONG);
    // typed into the wrong field
    await login(WRONG, 'ann');
    const collection = await someCollection(user);
    const asks: Promise<RawResponse>[] = [
      user.post('meta', { v: 11, cv: 'test' }), user.post('chunk', {}), user.post('applyChunk', '{"chunk":'), user.post('upload', Buffer.from('garbage')),
      user.msync('begin', {}), user.msync('uploadChanges', Buffer.from('garbage')), user.msync('uploadChanges', uploadZip([['..', 'x']])),
      user.get(`nothing?k=${user.key}`), user.post('nothing', {}),
    ];
    answers.push(...await Promise.all(asks), await user.post('upload', collection));
    writeFileSync(file, JSON.stringify({ eve: INNER, bob: 7 }));
    await login('carl', WRONG);
    writeFileSync(file, JSON.stringify({ eve: INNER }));
    await login('eve', WRONG);
    answers.push(await user.post('meta', { v: 11, cv: 'test' }));
    assert.equal(answers.at(-1)!.status, 403);

    const secrets = [RIGHT, WRONG, INNER, user.key, 'canary-session-4'];
    assert.deepEqual(found(`${await everyLine(server)}\n${said.join('\n')}`, secrets), []);
    assert.ok(said.length >= 2);
    for (const { text, headers, status } of answers) {
      // `begin` hands the key back to the client that sent it, in place of a media session key
      const body = text().replace(`"sk":"${user.key}"`, '');
      assert.deepEqual(found(`${body}${JSON.stringify(headers)}`, secrets), [], `an answer of ${status}`);
    }
    const events = new Set(server.log.map(({ event }) => event));
    for (const event of ['login.ok', 'login.refused', 'login.limited', 'login.unavailable', 'keys.revoked', 'upload.replaced', 'upload.refused'] as const) {
      assert.ok(events.has(event), `nothing was logged as ${event}`);
    }
    assert.ok(server.log.some(({ detail }) => detail?.includes('[secret]')));
  } finally {
    await server.stop();
    rmSync(folder, { recursive: true, force: true });
  }
});

test('nor are app passwords, right or revoked, however and wherever they are typed, nor the keys that they give', async () => {
  const down = { authenticate: async ({ password }: { password: string }): Promise<null> => Promise.reject(new Error(`bind(ann, ${password}) failed`)) };
  const server = await runningServer({ authenticator: [down], loginLimits: { perUserAndAddress: 3 } });
  try {
    const auth = await openBuiltInAuth(server.base);
    const ann = await auth.directory.userFor('ann');
    const [phone, lost] = [await auth.appPasswords.create(ann.id, { name: 'phone' }), await auth.appPasswords.create(ann.id, { name: 'lost' })];
    const user = new RawClient(server.url, { sessionKey: 'canary-session-5' });
    await user.hostKey('ann', phone.password.toUpperCase());
    const device = new RawClient(server.url, { sessionKey: 'canary-session-6' });
    await device.hostKey('ann', lost.password);
    await auth.appPasswords.revoke(ann.id, lost.id);

    const answers: RawResponse[] = [];
    const login = async (u: string, p: string): Promise<void> => void answers.push(await new RawClient(server.url).post('hostKey', { u, p }));
    for (const typed of [lost.password, lost.password.replaceAll('-', ''), lost.password.replaceAll('-', ' ')]) await login('ann', typed);
    // mistyped, it is shown to whoever is next, whose errors are not ours; then into the wrong field; then one too many
    await login('bob', `${phone.password}x`);
    await login(phone.password, 'ann');
    await login('ann', lost.password);
    answers.push(await new RawClient(server.url).post('hostKey', `{"u":"ann","p":"${phone.password}"`));
    answers.push(await device.post('meta', { v: 11, cv: lost.password }), await user.post('meta', { v: 11, cv: 'test' }));
    await auth.close();
    await until(() => server.log.some(({ event }) => event === 'keys.revoked'));

    const spellings = (password: string): string[] => [password, password.toUpperCase(), password.replaceAll('-', ''), password.replaceAll('-', ' ')];
    const secrets = [...spellings(phone.password), ...spellings(lost.password), user.key, device.key, 'canary-session-5', 'canary-session-6'];
    assert.deepEqual(found(await everyLine(server), secrets), []);
    for (const { text, headers, status } of answers) assert.deepEqual(found(`${text()}${JSON.stringify(headers)}`, secrets), [], `an answer of ${status}`);
    const events = new Set(server.log.map(({ event }) => event));
    for (const event of ['login.ok', 'login.refused', 'login.limited', 'login.unavailable', 'app-password.created', 'app-password.revoked', 'keys.revoked'] as const) {
      assert.ok(events.has(event), `nothing was logged as ${event}`);
    }
    assert.ok(server.log.some(({ detail }) => detail?.includes('[secret]')));
  } finally {
    await server.stop();
  }
});

test('nor are the passwords of the environment, and the official server\'s host keys that are made of them', async () => {
  const { users } = readSyncUsers({ SYNC_USER1: `ann:${RIGHT}` });
  const server = await runningServer({ environmentUsers: users, authenticator: undefined as never });
  try {
    const user = new RawClient(server.url);
    await user.hostKey('ann', RIGHT);
    const refused = await new RawClient(server.url).post('hostKey', { u: 'ann', p: WRONG });
    const { createHash } = await import('node:crypto');
    const official = new RawClient(server.url, { key: createHash('sha1').update(`ann:${RIGHT}`).digest('hex') });
    assert.equal((await official.post('meta', { v: 11, cv: 'test' })).status, 200);
    const broken = await official.post('applyChunk', '{"chunk":', { sessionKey: 'x' });
    assert.deepEqual(found(`${await everyLine(server)}${refused.text()}${broken.text()}`, [RIGHT, WRONG, official.key, user.key]), []);
  } finally {
    await server.stop();
  }
});

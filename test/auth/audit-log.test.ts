import assert from 'node:assert/strict';
import { test } from 'node:test';
import Database from 'better-sqlite3';
import { AuditLog } from '../../lib/auth/audit-log.ts';
import { openBuiltInAuth, type BuiltInAuth } from '../../lib/auth/built-in.ts';
import { usersDatabasePath } from '../../lib/auth/users-schema.ts';
import type { AuditRow } from '../../lib/auth/users-rows.ts';
import { SyncError } from '../../lib/errors.ts';
import { until } from '../server/until.ts';
import { CHEAP } from './cheap.ts';
import { dataFolder, inOtherProcess } from './folder.ts';

interface Stage {
  base: string;
  auth: BuiltInAuth;
  log: AuditLog;
  told: string[];
}

async function stage(base: string, body: (stage: Stage) => Promise<void>): Promise<void> {
  const auth = await openBuiltInAuth(base, { passwords: CHEAP });
  const told: string[] = [];
  const log = new AuditLog(auth.database, ({ event, login_name: name, detail }: AuditRow) => told.push(`${event} ${name} ${detail}`.trim()));
  try {
    await body({ base, auth, log, told });
  } finally {
    await log.close();
    await auth.close();
  }
}

test('each change is told once, in order, in words that name the user and what ended', async () => {
  await stage(dataFolder(), async ({ auth, told }) => {
    const { user } = await auth.users.add('ann', 'Secret 1');
    await auth.hostKeys.issue(user, { client: 'desktop' });
    const { id } = await auth.appPasswords.create(user.id, { name: 'my "phone"' });
    await auth.hostKeys.issue(user, { client: 'phone', appPasswordId: id });
    await auth.appPasswords.revoke(user.id, id);
    await auth.users.disable('ann');
    await auth.users.disable('ann');
    await auth.users.enable('ann');
    await auth.users.setAdmin('ann', true);
    await auth.users.setQuota('ann', { collectionBytes: 5000, mediaBytes: 0 });
    await auth.users.setQuota('ann', { collectionBytes: null, mediaBytes: 0 });
    await auth.users.setPassword('ann', 'Secret 2');
    await auth.hostKeys.issue(user, { client: 'desktop' });
    await auth.hostKeys.issue(user, { client: 'desktop' });
    await auth.hostKeys.revoke(user.id);
    await auth.hostKeys.revoke(user.id);
    await auth.users.remove('ann');
    await until(() => told.at(-1)?.startsWith('user.removed') === true);
    assert.deepEqual(told, [
      'user.added ann',
      `app-password.created ann app password "my \\"phone\\"" (${id})`,
      `app-password.revoked ann app password "my \\"phone\\"" (${id})`,
      'keys.revoked ann 1 host key ended: their app password was revoked',
      'user.disabled ann',
      'user.enabled ann',
      'user.admin ann is an administrator',
      'user.quota ann collection 5000 bytes, media without limit',
      'user.quota ann collection as for everybody',
      'password.changed ann',
      'keys.revoked ann 1 host key ended: another password',
      'keys.revoked ann 2 host keys ended',
      'user.removed ann',
    ]);
  });
});

test('what another process does is told by the one that listens, and not by the next again', async () => {
  const base = dataFolder();
  await stage(base, async ({ told }) => {
    await inOtherProcess(base, 'add', 'ann', 'Secret 1');
    await until(() => told.length === 1);
    assert.deepEqual(told, ['user.added ann']);
  });
  await stage(base, async ({ told, log }) => {
    log.look();
    assert.deepEqual(told, []);
  });
});

test('what happens while nobody listens is told by whoever listens next', async () => {
  const base = dataFolder();
  await inOtherProcess(base, 'add', 'ann', 'Secret 1');
  await inOtherProcess(base, 'disable', 'ann');
  await stage(base, async ({ told }) => assert.deepEqual(told, ['user.added ann', 'user.disabled ann']));
});

test('a change that fails is not told', async () => {
  await stage(dataFolder(), async ({ auth, told, log }) => {
    await auth.users.add('ann', 'Secret 1');
    await assert.rejects(auth.users.add('ann', 'Secret 1'), { code: 'USER_EXISTS' });
    await assert.rejects(auth.database.write('setPassword', 'nobody', 'hash', 'all'), { code: 'USER_UNKNOWN' });
    log.look();
    assert.deepEqual(told, ['user.added ann']);
  });
});

test('what cannot be read now is told later', async () => {
  await stage(dataFolder(), async ({ auth, told, log }) => {
    const read = auth.database.audit.bind(auth.database);
    auth.database.audit = () => {
      throw new SyncError('AUTH_UNAVAILABLE', 'a disk error');
    };
    await auth.users.add('ann', 'Secret 1');
    log.look();
    assert.deepEqual(told, []);
    auth.database.audit = read;
    log.look();
    assert.deepEqual(told, ['user.added ann']);
  });
});

test('without a listener for years, it does not grow without end', async () => {
  const base = dataFolder();
  const auth = await openBuiltInAuth(base, { passwords: CHEAP });
  try {
    await auth.users.add('ann', 'Secret 1');
    const db = new Database(usersDatabasePath(base));
    db.exec(`WITH RECURSIVE many (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM many WHERE n < 10050)
      INSERT INTO audit (at_secs, event, login_name, detail) SELECT 0, 'user.added', 'user' || n, '' FROM many`);
    db.close();
    await auth.users.disable('ann');
    const rows = auth.database.audit();
    assert.equal(rows.length, 10_000);
    assert.equal(rows.at(-1)?.event, 'user.disabled');
    assert.equal(rows[0]?.login_name, 'user52');
  } finally {
    await auth.close();
  }
});

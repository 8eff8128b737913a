/** `anki-sync user devices`, `revoke`, `app-password`, `app-passwords`: what can sign in without the person's own password, and its end. */
import { SqliteAppPasswords } from '../auth/app-passwords.ts';
import { deviceName } from '../auth/device-name.ts';
import { SqliteHostKeys } from '../auth/sqlite-host-keys.ts';
import { counted } from './quantities.ts';
import { UsageError } from './usage-error.ts';
import type { Call } from './user.ts';

const SECS_PER_DAY = 86_400;

export async function devices({ users, database, name, say }: Call): Promise<number> {
  const { id } = users.named(name);
  const appPasswords = new Map((await new SqliteAppPasswords(database).list(id)).map((each) => [each.id, each.name]));
  for (const { keyId, client, address, lastSyncSecs, issuedSecs, appPasswordId } of await new SqliteHostKeys(database).list(id)) {
    const by = appPasswordId === undefined ? [] : [`app password ${JSON.stringify(appPasswords.get(appPasswordId) ?? appPasswordId)}`];
    const synced = lastSyncSecs === undefined ? 'not synced yet' : `last sync ${minute(lastSyncSecs)}`;
    say([keyId, deviceName(client), synced, `signed in ${minute(issuedSecs)}`, address ?? 'unknown address', ...by].join('\t'));
  }
  return 0;
}

/** Exit code 1: there is no such device or app password. */
export async function revoke({ users, database, name, words: [wanted], flags, say }: Call): Promise<number> {
  const { id, loginName } = users.named(name);
  const keys = new SqliteHostKeys(database);
  const appPasswords = new SqliteAppPasswords(database);
  if (wanted === undefined) {
    const all = flags.has('app-passwords') ? await appPasswords.list(id) : [];
    const before = (await keys.list(id)).length;
    for (const each of all) await appPasswords.revoke(id, each.id);
    await keys.revoke(id);
    const alsoRevoked = flags.has('app-passwords') ? `, and revoked ${counted(all.length, 'app password')}` : '';
    say(`signed out ${counted(before, 'device')} of "${loginName}"${alsoRevoked}`);
    return 0;
  }
  if (flags.has('app-passwords')) throw new UsageError('--app-passwords goes with all devices, not with one');
  if (await keys.revoke(id, wanted) > 0) {
    say(`signed out the device ${wanted} of "${loginName}"`);
    return 0;
  }
  if (await appPasswords.revoke(id, wanted)) {
    say(`revoked the app password ${wanted} of "${loginName}", and signed out its devices`);
    return 0;
  }
  say(`"${loginName}" has no device or app password ${JSON.stringify(wanted)}; see user devices and user app-passwords`);
  return 1;
}

export async function createAppPassword({ users, database, name, flags, say }: Call): Promise<number> {
  const appPasswordName = flags.get('name');
  if (appPasswordName === undefined) throw new UsageError('user app-password needs --name, for instance the device: --name "phone"');
  const days = flags.get('expires');
  const expiresSecs = days === undefined ? undefined : Math.floor(Date.now() / 1000) + daysOf(days) * SECS_PER_DAY;
  const { id, loginName } = users.named(name);
  const made = await new SqliteAppPasswords(database).create(id, { name: appPasswordName, ...(expiresSecs === undefined ? {} : { expiresSecs }) });
  say(made.password);
  const until = expiresSecs === undefined ? '' : `, until ${minute(expiresSecs)}`;
  say(`is an app password of "${loginName}" (${made.id}${until}). It is shown only now;`);
  say('enter it in Anki, with the user name, in place of the password.');
  return 0;
}

export async function listAppPasswords({ users, database, name, say }: Call): Promise<number> {
  const nowSecs = Date.now() / 1000;
  for (const { id, name: called, createdSecs, expiresSecs, lastUsedSecs } of await new SqliteAppPasswords(database).list(users.named(name).id)) {
    const end = expiresSecs === undefined ? [] : [`${expiresSecs <= nowSecs ? 'ended' : 'until'} ${minute(expiresSecs)}`];
    const used = lastUsedSecs === undefined ? 'never used' : `last used ${minute(lastUsedSecs)}`;
    say([id, JSON.stringify(called), used, `made ${minute(createdSecs)}`, ...end].join('\t'));
  }
  return 0;
}

export function daysOf(text: string): number {
  const days = Number(/^(\d{1,5})d$/.exec(text)?.[1] ?? 0);
  if (days === 0) throw new UsageError(`--expires takes a number of days, like 90d, not "${text}"`);
  return days;
}

/** To the minute, in the time of the whole world. */
export function minute(secs: number): string {
  return `${new Date(secs * 1000).toISOString().slice(0, 16).replace('T', ' ')}Z`;
}

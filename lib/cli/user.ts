/** `anki-sync user …`: on the live database of the data folder, so that a running server sees every change at once. */
import { existsSync } from 'node:fs';
import { SqliteUsers, type UserEntry } from '../auth/sqlite-users.ts';
import { UsersDatabase } from '../auth/users-database.ts';
import { usersDatabasePath } from '../auth/users-schema.ts';
import { parseFlags } from './flags.ts';
import { readPassword } from './passwords.ts';
import { passwordChangeEnds } from './password-settings.ts';
import { baseFlag, baseFolder } from './settings.ts';
import { hint } from '../spelling.ts';
import type { Surroundings } from './surroundings.ts';
import { UsageError } from './usage-error.ts';
import { createAppPassword, devices, listAppPasswords, revoke } from './user-devices.ts';
import { link } from './user-link.ts';
import { quota, quotaMark } from './user-quota.ts';

export interface Call {
  users: SqliteUsers;
  database: UsersDatabase;
  /** Empty for `list`. */
  name: string;
  /** After the name. */
  words: readonly string[];
  flags: ReadonlyMap<string, string>;
  password(twice: boolean): Promise<string>;
  say(line: string): void;
}

/** Exit code 1 is for "no": a wrong password. Everything else that fails throws. */
const actions: Record<string, (call: Call) => Promise<number>> = {
  async add({ users, name, password, say }) {
    const { user, folderExisted } = await users.add(name, await password(true));
    say(`added "${user.loginName}"${folderExisted ? `, with the cards that are in the folder ${user.folder} already` : ''}`);
    return 0;
  },
  async passwd({ users, name, flags, password, say }) {
    const { user, endedKeys } = await users.setPassword(name, await password(true), {
      keepKeys: flags.has('keep-keys'),
      ...(flags.has('keep-app-passwords') ? { ends: 'own' } : {}),
    });
    say(`changed the password of "${user.loginName}"${endedKeys > 0 ? `; signed out: ${endedKeys}` : ''}`);
    return 0;
  },
  async list({ users, say }) {
    for (const entry of await users.list()) say(listLine(entry));
    return 0;
  },
  async remove({ users, name, say }) {
    const { user, keptFolder } = await users.remove(name);
    say(`removed "${user.loginName}"${keptFolder === null ? '' : `; the cards stay in ${keptFolder}, and a new user of that name would get them`}`);
    return 0;
  },
  async disable({ users, name, say }) {
    say(`disabled "${(await users.disable(name)).loginName}"`);
    return 0;
  },
  async enable({ users, name, say }) {
    say(`enabled "${(await users.enable(name)).loginName}"`);
    return 0;
  },
  async admin({ users, name, flags, say }) {
    const { loginName } = await users.setAdmin(name, !flags.has('off'));
    say(`"${loginName}" is ${flags.has('off') ? 'no administrator' : 'an administrator'} of the account page`);
    return 0;
  },
  quota,
  devices,
  revoke,
  'app-password': createAppPassword,
  'app-passwords': listAppPasswords,
  link,
  async verify({ users, name, password, say }) {
    const verdict = await users.verify(name, await password(false));
    say(verdict);
    return verdict === 'right' ? 0 : 1;
  },
};

export async function user(args: string[], surroundings: Surroundings): Promise<number> {
  const { words: [actionName, name, ...rest], flags } = parseFlags(args, {
    ...baseFlag, 'keep-keys': 'switch', 'keep-app-passwords': 'switch', 'app-passwords': 'switch', off: 'switch', name: 'value', expires: 'value',
    collection: 'value', media: 'value', default: 'switch',
  });
  const known = Object.keys(actions);
  if (actionName === undefined) throw new UsageError(`user needs one of: ${known.join(', ')}`);
  const action = Object.hasOwn(actions, actionName) ? actions[actionName] : undefined;
  if (action === undefined) throw new UsageError(`unknown: user ${actionName}.${hint(actionName, known)}`);
  if (actionName === 'list' ? name !== undefined : name === undefined) {
    throw new UsageError(actionName === 'list' ? 'user list takes no name' : `user ${actionName} needs a name`);
  }
  // a password must not be an argument: every user of the machine could read it
  if (rest.length > (actionName === 'revoke' ? 1 : 0)) {
    throw new UsageError(`user ${actionName} takes one name and nothing more; a password is asked for, or read from standard input`);
  }

  const base = baseFolder(flags, surroundings.env, surroundings.homeFolder);
  if (actionName !== 'add' && !existsSync(usersDatabasePath(base))) throw new UsageError(`there are no users in ${base}; is --base right?`);
  for (const [flag, of] of FLAG_OF) {
    if (flags.has(flag) && !of.includes(actionName)) throw new UsageError(`--${flag} belongs to user ${of.join(' and user ')}`);
  }
  const ends = passwordChangeEnds(surroundings.env);
  const database = await UsersDatabase.open(base, { by: 'the command line' });
  try {
    return await action({
      users: new SqliteUsers(database, ends === undefined ? {} : { passwordChangeEnds: ends }),
      database,
      name: name ?? '',
      words: rest,
      flags,
      password: (twice) => readPassword({ input: surroundings.input, prompts: surroundings.errors }, `Password of ${name}`, twice),
      say: (line) => surroundings.output.write(`${line}\n`),
    });
  } finally {
    await database.close();
  }
}

const FLAG_OF = new Map([
  ['keep-keys', ['passwd']], ['keep-app-passwords', ['passwd']], ['app-passwords', ['revoke']], ['off', ['admin', 'quota', 'link']], ['name', ['app-password']],
  ['expires', ['app-password', 'link']], ['collection', ['quota']], ['media', ['quota']], ['default', ['quota']],
]);

function listLine({ loginName, disabled, hasPassword, keys, lastUsedDay, isAdmin, quota }: UserEntry): string {
  const used = lastUsedDay === null ? 'never signed in' : `last seen ${new Date(lastUsedDay * 86_400_000).toISOString().slice(0, 10)}`;
  const marks = [isAdmin === true ? 'administrator' : '', disabled ? 'disabled' : '', hasPassword ? '' : 'no password here', quotaMark(quota) ?? '']
    .filter((mark) => mark !== '');
  return [loginName, `${keys} ${keys === 1 ? 'key' : 'keys'}`, used, ...marks].join('\t');
}

import { SqliteUsers } from '../auth/sqlite-users.ts';
import { UsersDatabase } from '../auth/users-database.ts';
import { generatePassword } from './passwords.ts';
import type { Environment } from './settings.ts';
import { baseArgument, ownName, shellWord } from './surroundings.ts';

/** Whether anybody could sign in: a user of the data folder, or one from the environment. */
export async function hasUsers(base: string, env: Environment): Promise<boolean> {
  return Object.keys(env).some((name) => /^SYNC_USER[1-9]\d*(_FILE)?$/.test(name)) || withUsers(base, async (users) => (await users.list()).length > 0);
}

/** Adds a user with a password that is printed here and nowhere else; does nothing once there is any user. */
export async function createFirstUser(base: string, name: string, say: (line: string) => void): Promise<void> {
  await withUsers(base, async (users) => {
    if ((await users.list()).length > 0) return;
    const password = generatePassword();
    const { user } = await users.add(name, password);
    say(`created the user "${user.loginName}" with the password ${password}`);
    say(`it is shown only now; to choose another: ${ownName()} user passwd ${shellWord(user.loginName)}${baseArgument(base)}`);
  });
}

async function withUsers<T>(base: string, use: (users: SqliteUsers) => Promise<T>): Promise<T> {
  const database = await UsersDatabase.open(base);
  try {
    return await use(new SqliteUsers(database));
  } finally {
    await database.close();
  }
}

import { SqliteUsers } from '../auth/sqlite-users.ts';
import { UsersDatabase } from '../auth/users-database.ts';
import { generatePassword } from './passwords.ts';
import { baseArgument, ownName, shellWord } from './surroundings.ts';

type Say = (line: string) => void;

/** Says who could sign in, if nobody can yet. With a name, adds that user with a password that is printed here and nowhere else. */
export async function welcomeFirstUser(base: string, name: string | undefined, say: Say): Promise<void> {
  const database = await UsersDatabase.open(base);
  try {
    const users = new SqliteUsers(database);
    if ((await users.list()).length > 0) return;
    if (name === undefined) {
      say(`there is no user yet. To add one, type in another terminal:\n    ${ownName()} user add NAME${baseArgument(base)}`);
      return;
    }
    const password = generatePassword();
    const { user } = await users.add(name, password);
    say(`created the user "${user.loginName}" with the password ${password}`);
    say(`it is shown only now; to choose another: ${ownName()} user passwd ${shellWord(user.loginName)}${baseArgument(base)}`);
  } finally {
    await database.close();
  }
}

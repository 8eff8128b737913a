/** What another process on the same data folder does: `node other-process.ts <base> <command> …`. Each prints one line when it is done. */
import { lockDataFolder } from '../../lib/storage/files/data-folder-lock.ts';
import { SqliteAppPasswords } from '../../lib/auth/app-passwords.ts';
import { SqliteHostKeys } from '../../lib/auth/sqlite-host-keys.ts';
import { SqliteUsers } from '../../lib/auth/sqlite-users.ts';
import { SqliteUserDirectory } from '../../lib/auth/user-directory.ts';
import { UsersDatabase } from '../../lib/auth/users-database.ts';
import { CHEAP } from './cheap.ts';

const [base = '', command = '', name = '', password = ''] = process.argv.slice(2);

if (command === 'lock') {
  const locked = await lockDataFolder(base).then(() => true, () => false);
  console.log(locked ? 'locked' : 'refused');
  if (locked) setInterval(() => {}, 60_000); // until it is killed
} else {
  const database = await UsersDatabase.open(base);
  const users = new SqliteUsers(database, CHEAP);
  if (command === 'add') await users.add(name, password);
  else if (command === 'passwd') await users.setPassword(name, password);
  else if (command === 'remove') await users.remove(name);
  else if (command === 'disable') await users.disable(name);
  else if (command === 'revoke app password') await new SqliteAppPasswords(database).revoke(name, password);
  else if (command === 'user') await new SqliteUserDirectory(database).userFor(name);
  if (command === 'issue and die') {
    const user = await new SqliteUserDirectory(database).userFor(name);
    const key = await new SqliteHostKeys(database).issue(user, { client: 'test' });
    process.stdout.write(key, () => process.kill(process.pid, 'SIGKILL'));
  } else {
    await database.close();
    console.log('done');
  }
}

/** `anki-sync snapshots NAME`: what full uploads and restores replaced, newest first. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { UsersDatabase } from '../auth/users-database.ts';
import { normaliseLoginName } from '../auth/login-names.ts';
import { usersDatabasePath } from '../auth/users-schema.ts';
import { listSnapshots } from '../storage/sqlite/snapshots.ts';
import { parseFlags } from './flags.ts';
import { sized } from './quantities.ts';
import { baseFlag, baseFolder } from './settings.ts';
import type { Surroundings } from './surroundings.ts';
import { UsageError } from './usage-error.ts';

export async function snapshots(args: string[], { env, homeFolder, output }: Surroundings): Promise<number> {
  const { words: [name, ...rest], flags } = parseFlags(args, baseFlag);
  if (name === undefined || rest.length > 0) throw new UsageError('snapshots needs one name');
  const base = baseFolder(flags, env, homeFolder);
  if (!existsSync(usersDatabasePath(base))) throw new UsageError(`there are no users in ${base}; is --base right?`);
  const database = await UsersDatabase.open(base);
  try {
    const row = database.userByLoginName(normaliseLoginName(name));
    if (row === undefined) throw new UsageError(`there is no user "${name}"`);
    for (const { name: file, takenMillis, bytes } of listSnapshots(join(base, row.folder))) {
      output.write(`${file.replace(/\.anki2$/, '')}\t${new Date(takenMillis).toISOString().slice(0, 19).replace('T', ' ')} UTC\t${sized(bytes)}\n`);
    }
    return 0;
  } finally {
    await database.close();
  }
}

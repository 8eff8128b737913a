/** `anki-sync restore`: users from a backup, or one user from a snapshot. */
import { existsSync } from 'node:fs';
import { restoreBackup, restoreSnapshot } from '../backup/restore.ts';
import { normaliseLoginName } from '../auth/login-names.ts';
import { parseFlags } from './flags.ts';
import { progressBar } from './progress.ts';
import { counted } from './quantities.ts';
import { baseFlag, baseFolder } from './settings.ts';
import type { Surroundings } from './surroundings.ts';
import { UsageError } from './usage-error.ts';

export const restoreFlags = { ...baseFlag, from: 'value', all: 'switch', snapshot: 'value' } as const;

const ONE_WAY = 'each device will be asked for a one-way sync: choose "Download from server" there, or the restored cards are replaced again';

/** Exit code 1: something of a user could not be brought back. */
export async function restore(args: string[], { env, homeFolder, output, errors }: Surroundings): Promise<number> {
  const { words: names, flags } = parseFlags(args, restoreFlags);
  const base = baseFolder(flags, env, homeFolder);
  const from = flags.get('from');
  const snapshot = flags.get('snapshot');
  if ((from === undefined) === (snapshot === undefined)) throw new UsageError('restore needs either --from BACKUP or --snapshot TIME');
  if (snapshot !== undefined) {
    if (names.length !== 1 || flags.has('all')) throw new UsageError('a snapshot is of one user: restore NAME --snapshot TIME');
    if (!existsSync(base)) throw new UsageError(`there is no data folder ${base}; is --base right?`);
    const name = normaliseLoginName(names[0]!);
    const taken = await restoreSnapshot(base, name, snapshot);
    output.write(`restored the cards of "${name}" as of ${taken}; what was there before is a snapshot now\n${ONE_WAY}\n`);
    return 0;
  }
  if (flags.has('all') === names.length > 0) throw new UsageError('restore needs the names of users, or --all');
  let bar = progressBar(errors, 'restoring');
  let failed = false;
  await restoreBackup({
    base,
    from: from!,
    only: names,
    copied: (bytes, ofBytes) => bar.add(bytes, ofBytes),
    restored({ about, collection, files, added, remarks }) {
      bar.clear();
      bar = progressBar(errors, 'restoring');
      failed ||= remarks.length > 0;
      const what = `${collection ? 'cards' : 'no cards'}, ${counted(files, 'media file')} that had changed or were missing`;
      output.write(`${JSON.stringify(about)}: ${what}${added ? ', with the password of the backup' : ''}\n`);
      for (const remark of remarks) output.write(`    ${remark}\n`);
    },
  });
  output.write(`${ONE_WAY}\n`);
  return failed ? 1 : 0;
}

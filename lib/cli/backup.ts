/** `anki-sync backup --to FOLDER|FILE.zip [NAME …]`: also while a server runs and users sync. */
import { existsSync } from 'node:fs';
import { makeBackup } from '../backup/backup.ts';
import { parseFlags } from './flags.ts';
import { progressBar } from './progress.ts';
import { counted, sized } from './quantities.ts';
import { baseFlag, baseFolder } from './settings.ts';
import type { Surroundings } from './surroundings.ts';
import { UsageError } from './usage-error.ts';

export const backupFlags = { ...baseFlag, to: 'value' } as const;

/** Exit code 1: the backup was made, but something in the data folder is wrong, and so it is in the backup. */
export async function backup(args: string[], { env, homeFolder, output, errors }: Surroundings): Promise<number> {
  const { words: only, flags } = parseFlags(args, backupFlags);
  const to = flags.get('to');
  if (to === undefined) throw new UsageError('backup needs --to: a folder, or a file that ends in .zip');
  const base = baseFolder(flags, env, homeFolder);
  if (!existsSync(base)) throw new UsageError(`there is no data folder ${base}; is --base right?`);
  let problems = 0;
  let bar = progressBar(errors, '');
  const { users, files } = await makeBackup({
    base,
    to,
    only,
    began(about, number, total) {
      bar.clear();
      bar = progressBar(errors, `${number} of ${total}: ${JSON.stringify(about)}`);
      bar.add(0);
    },
    copied: (bytes, ofBytes) => bar.add(bytes, ofBytes),
    removed(path) {
      output.write(`removed ${path}, which a backup left that was cut off\n`);
    },
    found({ about, text }) {
      problems += 1;
      bar.clear();
      output.write(`problem: ${about === undefined ? '' : `${JSON.stringify(about)}: `}${text}\n`);
    },
  });
  bar.clear();
  const bytes = Object.values(files).reduce((sum, file) => sum + file.bytes, 0);
  output.write(`backed up ${counted(users.length, 'user')} to ${to}: ${counted(Object.keys(files).length, 'file')}, ${sized(bytes)}, verified${problems > 0 ? `; ${counted(problems, 'problem')}` : ''}\n`);
  return problems > 0 ? 1 : 0;
}

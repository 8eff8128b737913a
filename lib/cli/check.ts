/** `anki-sync check [NAME …]`: is everything in the data folder as it should be? */
import { existsSync } from 'node:fs';
import { checkDataFolder } from '../check/data-folder.ts';
import { parseFlags } from './flags.ts';
import { progressBar } from './progress.ts';
import { counted } from './quantities.ts';
import { baseFlag, baseFolder } from './settings.ts';
import type { Surroundings } from './surroundings.ts';
import { UsageError } from './usage-error.ts';

export const checkFlags = { ...baseFlag, deep: 'switch' } as const;

/** Exit code 1: there are problems. Notes alone are no failure. */
export async function check(args: string[], { env, homeFolder, output, errors }: Surroundings): Promise<number> {
  const { words: only, flags } = parseFlags(args, checkFlags);
  const base = baseFolder(flags, env, homeFolder);
  if (!existsSync(base)) throw new UsageError(`there is no data folder ${base}; is --base right?`);
  let problems = 0;
  let bar = progressBar(errors, '');
  const checked = await checkDataFolder({
    base,
    deep: flags.has('deep'),
    only,
    began(about, number, total) {
      bar.clear();
      bar = progressBar(errors, `${number} of ${total}: ${JSON.stringify(about)}`);
      bar.add(0);
    },
    read: (bytes, ofBytes) => bar.add(bytes, ofBytes),
    found({ level, about, text }) {
      if (level === 'problem') problems += 1;
      bar.clear();
      output.write(`${level}: ${about === undefined ? '' : `${JSON.stringify(about)}: `}${text}\n`);
    },
  });
  bar.clear();
  if (only.length > 0 && checked === 0) throw new UsageError(`nobody of that name is in ${base}`);
  output.write(`checked ${counted(checked, 'user')}: ${problems === 0 ? 'no problem' : counted(problems, 'problem')}\n`);
  return problems > 0 ? 1 : 0;
}

/** `anki-sync import FOLDER`: the users of an old community server, with cards, media and passwords. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { isAbsolute, join, relative, resolve } from 'node:path';
import { importUsers, type UserOutcome } from '../import/import.ts';
import { findOldServer, OldServerError, type OldServer } from '../import/old-server.ts';
import { parseFlags } from './flags.ts';
import { oldSettings } from './old-settings.ts';
import { progressBar } from './progress.ts';
import { baseFlag, baseFolder } from './settings.ts';
import { baseArgument, ownName, shellWord, type Surroundings } from './surroundings.ts';
import { counted, sized } from './quantities.ts';
import { UsageError } from './usage-error.ts';

export const importFlags = { ...baseFlag, 'auth-db': 'value', 'ankisyncd-conf': 'value', 'dry-run': 'switch' } as const;

/** Exit code 1: somebody was refused. */
export async function importOldServer(args: string[], { env, homeFolder, output, errors }: Surroundings): Promise<number> {
  const { words: [given, ...rest], flags } = parseFlags(args, importFlags);
  if (rest.length > 0) throw new UsageError('import takes one folder');
  const old = oldSettings(flags.get('ankisyncd-conf'), env, homeFolder);
  const folder = given ?? old.dataFolder;
  if (folder === undefined) throw new UsageError('import needs the data folder of the old server, like: import ./collections');
  const source = resolve(folder);
  const base = baseFolder(flags, env, homeFolder);
  const way = relative(source, base);
  if (!way.startsWith('..') && !isAbsolute(way)) throw new UsageError(`--base must be a folder outside of ${source}, which is only read`);
  const dryRun = flags.has('dry-run');
  const say = (line: string): void => void output.write(`${line}\n`);
  let bar = progressBar(errors, 'copying media');
  for (const warning of old.warnings) say(warning);

  const server = find(source, flags.get('auth-db') ?? old.authDb);
  say(`${counted(server.users.length, 'user')} in ${source}${server.authPath === undefined ? ', and no auth.db: nobody has a password' : `, passwords in ${server.authPath}`}`);
  const outcomes: UserOutcome[] = [];
  await importUsers(server, {
    base,
    dryRun,
    copied: (bytes, ofBytes) => bar.add(bytes, ofBytes),
    told(outcome) {
      bar.clear();
      bar = progressBar(errors, 'copying media');
      outcomes.push(outcome);
      for (const line of linesAbout(outcome)) say(line);
    },
  });
  const count = (kind: UserOutcome['kind']): number => outcomes.filter((outcome) => outcome.kind === kind).length;
  say(`${dryRun ? 'would import' : 'imported'} ${count('imported')}, imported earlier ${count('earlier')}, refused ${count('refused')}`);
  if (dryRun) say('nothing was changed');
  const locked = outcomes.filter((outcome) => outcome.kind === 'imported' && outcome.password !== 'kept').map(({ name }) => name);
  if (locked.length > 0) {
    say(`cannot sign in before they get a password: ${ownName()} user passwd NAME${baseArgument(base)}`);
    for (const name of locked) say(`    ${shellWord(name)}`);
  }
  return count('refused') > 0 ? 1 : 0;
}

function find(source: string, authDb: string | undefined): OldServer {
  const scratch = mkdtempSync(join(tmpdir(), 'anki-sync-import-'));
  try {
    return findOldServer(source, { authDb, scratch });
  } catch (error) {
    if (error instanceof OldServerError) throw new UsageError(error.message);
    throw error;
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

const PASSWORDS = { kept: 'keeps the password', 'unknown form': 'the password hash has an unknown form', none: 'no password' };

function linesAbout(outcome: UserOutcome): string[] {
  const name = JSON.stringify(outcome.name);
  if (outcome.kind === 'refused') return [`${name}: not imported: ${outcome.reason}`];
  if (outcome.kind === 'earlier') return [`${name}: imported earlier, left as it is`];
  const { notes, cards, files, bytes, password, remarks } = outcome;
  const all = `${counted(notes, 'note')}, ${counted(cards, 'card')}, ${counted(files, 'media file')} (${sized(bytes)}), ${PASSWORDS[password]}`;
  const shown = remarks.slice(0, 20).map((remark) => `    ${remark}`);
  return [`${name}: ${all}`, ...shown, ...(remarks.length > 20 ? [`    … and ${remarks.length - 20} more`] : [])];
}

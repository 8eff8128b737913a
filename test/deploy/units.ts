/** Units of systemd, read as far as ours need it, and run without it. */
import { chmod, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { BIN } from '../cli/command.ts';
import { ROOT } from '../package/project-copy.ts';

export const UNITS = join(ROOT, 'deploy/systemd');

export interface Unit {
  text: string;
  /** All values of an option, in order. */
  all(option: string): string[];
  /** The only value. @throws where there is none, or another one */
  one(option: string): string;
}

/** @param places what to put in place of folders of the system */
export async function readUnit(name: string, places: Record<string, string> = {}): Promise<Unit> {
  let text = await readFile(join(UNITS, name), 'utf8');
  // the longest first: one folder's name begins like another's
  for (const place of Object.keys(places).sort((a, b) => b.length - a.length)) text = text.replaceAll(place, places[place]!);
  const options = text.split('\n').filter((line) => /^\w+=/.test(line)).map((line) => line.split(/=(.*)/s) as [string, string]);
  const all = (option: string): string[] => options.filter(([key]) => key === option).map(([, value]) => value);
  return {
    text,
    all,
    one: (option) => {
      const [value, ...more] = all(option);
      if (value === undefined || more.length > 0) throw new Error(`${name} has ${value === undefined ? 'no' : 'more than one'} ${option}`);
      return value;
    },
  };
}

/** A command line of a unit as its words: quotes, `$$` and `%%`. */
export function commandOf(line: string): [string, ...string[]] {
  const words = [...line.matchAll(/'([^']*)'|"([^"]*)"|(\S+)/g)].map(([, single, double, bare]) => (single ?? double ?? bare ?? '').replaceAll('$$', '$').replaceAll('%%', '%'));
  const [command, ...args] = words;
  if (command === undefined) throw new Error(`no command in "${line}"`);
  return [command, ...args];
}

/** A folder with the command `anki-sync`, as an installation has it. */
export async function commandFolder(folder: string): Promise<string> {
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, 'anki-sync'), `#!/bin/sh\nexec '${process.execPath}' '${BIN}' "$@"\n`);
  await chmod(join(folder, 'anki-sync'), 0o755);
  return folder;
}

import { existsSync } from 'node:fs';
import { homedir } from 'node:os';
import { delimiter, join, resolve } from 'node:path';
import { shellWord } from '../way-back.ts';
import type { Environment } from './settings.ts';

export { shellWord };
export { packageVersion } from '../package-version.ts';

/** What a command may touch of the process around it. */
export interface Surroundings {
  env: Environment;
  homeFolder: string;
  input: NodeJS.ReadStream;
  /** Results and the log. */
  output: NodeJS.WriteStream;
  /** Prompts, and what went wrong. */
  errors: NodeJS.WriteStream;
}

export function processSurroundings(): Surroundings {
  // a closed pipe (`anki-sync serve | head`) must not end the server
  process.stdout.on('error', () => {});
  process.stderr.on('error', () => {});
  // a copy: the system looks for each variable among all of them, which takes seconds where thousands of users stand in the environment
  return { env: { ...process.env }, homeFolder: homedir(), input: process.stdin, output: process.stdout, errors: process.stderr };
}

/**
 * How this command line is called again: in a clone of the project, of which npx knows nothing, through npm; as it was called if that was through
 * npx, or by its name. Outside of a project that has it, npx would fetch whatever else has that name.
 * A clone is where the sources are: beside this file, or above the `dist` that was built from them.
 */
export function ownName(): string {
  const isClone = import.meta.url.endsWith('.ts') || existsSync(new URL('../../../lib/bin.ts', import.meta.url));
  if (isClone) return 'npm run -s anki-sync --';
  return process.env['npm_command'] === 'exec' || !isInPath('anki-sync') ? 'npx anki-sync' : 'anki-sync';
}

function isInPath(name: string): boolean {
  return (process.env['PATH'] ?? '').split(delimiter).some((folder) => folder !== '' && existsSync(join(folder, name)));
}

/** ` --base <folder>`, where another terminal would not find the folder by itself. */
export function baseArgument(base: string): string {
  return base === resolve('data') ? '' : ` --base ${shellWord(base)}`;
}

/** `anki-sync maintenance on|off`: no sync begins, and people read why in Anki; what has begun ends. Holds over restarts, until it is switched off. */
import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { connectToControl, type ControlClient } from '../backup/control.ts';
import { parseFlags } from './flags.ts';
import { counted } from './quantities.ts';
import { baseFlag, baseFolder } from './settings.ts';
import type { ServerStatus } from './status.ts';
import type { Surroundings } from './surroundings.ts';
import { UsageError } from './usage-error.ts';

export const maintenanceFlags = { ...baseFlag, message: 'value', wait: 'switch' } as const;

const WORDS = 'The sync server is being maintained. Your cards on this device are fine. Please try again later.';
const MAX_CHARS = 500;
const LOOK_MILLIS = 500;

export async function maintenance(args: string[], { env, homeFolder, output }: Surroundings): Promise<number> {
  const { words: [action = '', ...rest], flags } = parseFlags(args, maintenanceFlags);
  if (!/^(on|off|status)$/.test(action) || rest.length > 0) throw new UsageError('type maintenance on, maintenance off or maintenance status');
  if (action !== 'on' && (flags.has('message') || flags.has('wait'))) throw new UsageError('--message and --wait belong to maintenance on');
  const base = baseFolder(flags, env, homeFolder);
  const say = (line: string): void => void output.write(`${line}\n`);
  if (action === 'status') {
    const words = maintenanceWords(base);
    say(words === undefined ? 'off' : `on: ${words}`);
    return words === undefined ? 1 : 0;
  }
  const words = action === 'on' ? wordsOf(flags.get('message') ?? WORDS) : undefined;
  writeWords(base, words);
  const control = await connectToControl(base);
  if (control === null) {
    say(words === undefined ? 'off' : 'on from the next start; no server runs now');
    return 0;
  }
  try {
    await control.ask({ maintenance: words ?? null });
    say(words === undefined ? 'off: syncs begin again' : 'on: no sync begins any more');
    if (words !== undefined) await tellOfRunning(control, flags.has('wait'), say);
  } finally {
    control.close();
  }
  return 0;
}

async function tellOfRunning(control: ControlClient, waits: boolean, say: (line: string) => void): Promise<void> {
  let told = -1;
  for (;;) {
    const { syncs } = (await control.ask({ status: true })) as unknown as ServerStatus;
    if (syncs.length !== told) say(syncs.length === 0 ? 'nobody is syncing' : `${counted(syncs.length, 'sync')} that had begun: still running`);
    told = syncs.length;
    if (!waits || told === 0) return;
    await sleep(LOOK_MILLIS);
  }
}

function wordsOf(message: string): string {
  const words = message.trim();
  if (words === '' || words.length > MAX_CHARS) throw new UsageError(`--message must have from 1 to ${MAX_CHARS} characters`);
  return words;
}

/** Undefined: no maintenance. */
export function maintenanceWords(base: string): string | undefined {
  try {
    return readFileSync(fileOf(base), 'utf8').trim() || undefined;
  } catch {
    return undefined;
  }
}

function writeWords(base: string, words: string | undefined): void {
  const path = fileOf(base);
  if (words === undefined) {
    rmSync(path, { force: true });
    return;
  }
  mkdirSync(join(base, '.anki-sync'), { recursive: true });
  writeFileSync(`${path}.new`, `${words}\n`);
  renameSync(`${path}.new`, path);
}

function fileOf(base: string): string {
  return join(base, '.anki-sync', 'maintenance.txt');
}

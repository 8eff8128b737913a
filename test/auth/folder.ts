import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after } from 'node:test';
import { fileURLToPath } from 'node:url';

/** A data folder that is gone after the file's tests. */
export function dataFolder(): string {
  const base = mkdtempSync(join(tmpdir(), 'anki-sync-auth-'));
  after(() => rmSync(base, { recursive: true, force: true }));
  return base;
}

/** Starts `other-process.ts`; `printed` is its first output, `ended` its exit. */
export function otherProcess(base: string, ...args: string[]): { child: ChildProcess; printed: Promise<string>; ended: Promise<void> } {
  const child = spawn(process.execPath, [fileURLToPath(new URL('other-process.ts', import.meta.url)), base, ...args], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const ended = new Promise<void>((resolve) => child.on('close', () => resolve()));
  const printed = new Promise<string>((resolve, reject) => {
    child.stdout.setEncoding('utf8').once('data', (text: string) => resolve(text.trim()));
    void ended.then(() => reject(new Error('the other process printed nothing')));
  });
  return { child, printed, ended };
}

/** Runs one command of another process to its end. */
export async function inOtherProcess(base: string, ...args: string[]): Promise<string> {
  const { printed, ended } = otherProcess(base, ...args);
  const line = await printed;
  await ended;
  return line;
}

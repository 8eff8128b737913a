/** What the `try:*` commands do with a story that the tests play too: step by step, and then open for a person to play with. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { parseArgs } from 'node:util';
import type { RunningServer } from '../test/cli/command.ts';

export interface Tally {
  passed: number;
  failed: number;
}

/** Plays all steps, also those after one that failed. `tally` is counted up as they end. */
export async function playSteps<Story>(steps: readonly (readonly [sentence: string, run: (story: Story) => unknown])[], story: Story, tally: Tally): Promise<void> {
  for (const [sentence, run] of steps) {
    try {
      await run(story);
      tally.passed++;
      console.log(`✔ ${sentence}`);
    } catch (error) {
      tally.failed++;
      console.log(`✖ ${sentence}\n${error instanceof Error ? error.stack : String(error)}`);
    }
  }
  console.log(`${tally.passed} passed, ${tally.failed} failed`);
}

/** Resolves with Ctrl+C, or SIGTERM. */
export function untilStopped(): Promise<void> {
  return new Promise((resolve) => process.once('SIGINT', resolve).once('SIGTERM', resolve));
}

export interface Trial {
  /** Removed in the end, with all that is in it. */
  folder: string;
  /** Of the server to be tried, from the command line; `0`: any. */
  port: string;
  keep: boolean;
  tally: Tally;
  /** Ends what was begun, last begun first. As a test's own, for whatever asks for one of a test. */
  ending: TestContext;
}

/**
 * One `try:*` command from its first line to its exit code: `--keep` and `--port`, a folder, what there is to end, and the count also of what failed
 * before the first step. `whyNot` installs what is missing, and says what cannot be installed here, and nothing is begun then.
 */
export async function tryOut(name: string, whyNot: () => Promise<string | false>, trial: (trial: Trial) => Promise<void>): Promise<never> {
  const { values } = parseArgs({ options: { keep: { type: 'boolean', default: false }, port: { type: 'string', default: '0' } } });
  const missing = await whyNot();
  if (missing !== false) {
    console.error(missing);
    process.exit(1);
  }
  const folder = mkdtempSync(join(tmpdir(), `anki-sync-try-${name}-`));
  const endings: (() => unknown)[] = [() => rmSync(folder, { recursive: true, force: true })];
  const ending = { after: (end: () => unknown) => void endings.push(end) } as TestContext;
  const tally = { passed: 0, failed: 0 };
  try {
    await trial({ folder, tally, ending, ...values });
  } catch (error) {
    tally.failed++;
    console.log(`${error instanceof Error ? error.stack : String(error)}\n${tally.passed} passed, ${tally.failed} failed`);
  } finally {
    for (const end of endings.reverse()) await end();
  }
  process.exit(tally.failed > 0 ? 1 : 0);
}

/** Leaves all of it up, with what the server says, until Ctrl+C. */
export async function keepUp({ child }: Pick<RunningServer, 'child'>, name = 'server'): Promise<void> {
  child.stdout?.on('data', (text: Buffer) => process.stdout.write(String(text).replaceAll(/^(?=.)/gm, `${name}: `)));
  await untilStopped();
}

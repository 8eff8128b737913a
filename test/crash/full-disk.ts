/** Plays a story while the disk fails from the first, second, third … operation on; then the disk works again, and the client goes on. */
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, mkdtempSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { makeUsers, replaceFolder } from './data-folder.ts';
import { ALL_KINDS, Control, NEED_SPACE, type DiskError, type Kind } from './operations.ts';
import { differing, filesBelow, findings, isSame, stateOf, type State } from './state.ts';
import { NotAnswered, type Scene, type Story } from './stories.ts';
import { watchedServer, type WatchedServer } from './watched-process.ts';

/** What a disk does, and for how many operations. */
export interface Failure {
  name: string;
  error: DiskError;
  kinds: readonly Kind[];
  /** Only this many operations fail; all from the first one on, if left out. */
  operations?: number;
}

export const FAILURES: readonly Failure[] = [
  { name: 'the disk is full', error: 'ENOSPC', kinds: NEED_SPACE },
  { name: 'a quota is used up', error: 'EDQUOT', kinds: NEED_SPACE },
  { name: 'one operation fails', error: 'EIO', kinds: ALL_KINDS, operations: 1 },
  { name: 'the disk fails', error: 'EIO', kinds: ALL_KINDS },
  { name: 'the disk is read-only', error: 'EROFS', kinds: ALL_KINDS },
];

export interface FailOptions {
  /** At most so many points per kind of failure, evenly spread; all, if left out. */
  most?: number;
  seed?: number;
  root?: string;
}

/** What a request may be answered while the disk fails. */
const CODES = /^(DISK_FULL|STORAGE_FAILED|AUTH_UNAVAILABLE)\b/;
const WORDS = /^The disk of the sync server is full|^The sync server cannot read or write its disk/;

export interface Failed {
  /** Failures that were tried. */
  points: number;
  /** How many of them were told to the client; the others were in nobody's way. */
  told: number;
  /** By code, or the first words. */
  answers: Map<string, number>;
}

/** @throws AssertionError with the operation from which on the disk failed */
export async function tryFailingDisk(story: Story, { most = Infinity, seed = 0, root }: FailOptions = {}): Promise<Failed> {
  const folder = realpathSync(mkdtempSync(join(tmpdir(), 'disk-')));
  const control = new Control(join(folder, 'control'));
  const base = join(folder, 'base');
  const before = join(folder, 'before');
  const spare = join(folder, 'spare');
  const { timeless = false, unindexed = false } = story;
  const state = (name: string, loose = false): State => {
    mkdirSync(join(base, name), { recursive: true });
    return stateOf(join(base, name), join(folder, 'look'), { loose, timeless, unindexed });
  };
  const prepare = (name: string): void => {
    if (existsSync(before)) replaceFolder(before, join(base, name));
  };
  let server: WatchedServer | undefined;
  try {
    await story.before?.(before, spare);
    const names = Array.from({ length: 1 + Math.min(most, 150) * FAILURES.length }, (_, index) => `user${index}`);
    const keys = await makeUsers(base, names);
    server = await watchedServer(base, { control, ...(root === undefined ? {} : { root }) });
    if (server === undefined) throw new Error('the server did not start');
    const running = server;
    const scene = (name: string): Scene => ({ server: running, client: running.client(keys.get(name)!), name, home: join(base, name) });

    const first = names.pop()!;
    prepare(first);
    const states = [state(first)];
    control.count();
    for (const { run } of story.steps(scene(first), spare)) {
      await run();
      states.push(state(first));
    }
    const operations = control.counted();
    control.off();
    await story.again(scene(first), spare);
    const last = state(first, true);

    const result: Failed = { points: 0, told: 0, answers: new Map() };
    const every = Math.max(1, operations / Math.min(most, 150));
    for (const [index, failure] of FAILURES.entries()) {
      for (let number = 1 + ((seed + index) % Math.ceil(every)); number <= operations; number += every) {
        const name = names.pop()!;
        const at = `${failure.name} (${failure.error}) ${failure.operations === 1 ? 'at' : 'from'} operation ${Math.floor(number)} of ${operations}`;
        prepare(name);
        const begun = Math.floor(number);
        const end = failure.operations === undefined ? {} : { last: begun + failure.operations - 1 };
        control.fail(failure.error, { first: begun, kinds: failure.kinds, ...end });
        const { answered, told } = await untilTold(story, scene(name), spare, at, running);
        assert.equal((await fetch(`${running.url}health`)).status, 200, `not well while ${at}`);
        control.off();
        result.points += 1;
        if (told !== undefined) {
          result.told += 1;
          const words = told.split(/[ \n]/).slice(0, told.startsWith('The') ? 7 : 1).join(' ');
          result.answers.set(words, (result.answers.get(words) ?? 0) + 1);
        }
        const now = state(name);
        const allowed = states.slice(answered, answered + 2);
        assert.ok(allowed.some((each) => isSame(each, now)), `neither before nor after while ${at}; told ${told}: ${differing(allowed[0]!, now).join(', ')} differ`);
        try {
          await story.again(scene(name), spare);
        } catch (error) {
          assert.fail(`the client could not go on after ${at} (told ${told}): ${(error as Error).message}\n${running.output().split('\n').slice(-8).join('\n')}`);
        }
        const found = state(name, true);
        assert.ok(isSame(found, last), `another end than usual after ${at}: ${differing(found, last).join(', ')} differ`);
        const staged = (): string[] => [
          ...filesBelow(join(base, '.anki-sync', 'staging')).keys(),
          ...filesBelow(join(base, name, '.anki-sync-media', 'incoming')).keys(),
        ];
        // what could not be removed is removed at the next start
        if (!failure.kinds.includes('unlink')) {
          for (let look = 0; look < 800 && staged().length > 0; look++) await sleep(25);
          assert.deepEqual(staged(), [], `left over after ${at}`);
        }
      }
    }
    const { code, output } = await running.stop();
    assert.equal(code, 0, output);
    const { problems, notes } = await findings(base);
    assert.deepEqual(problems.filter((problem) => !unindexed || !problem.includes('index media.db is missing')), []);
    assert.deepEqual(notes.filter((note) => /^user\d+: left over/.test(note)), []);
    return result;
  } finally {
    control.off();
    if (server !== undefined && server.child.exitCode === null) await server.kill();
    control.close();
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Steps until one is not answered as wished; it must be told what is wrong, in words or by a code for that. */
async function untilTold(story: Story, scene: Scene, spare: string, at: string, server: WatchedServer): Promise<{ answered: number; told: string | undefined }> {
  let answered = 0;
  for (const { name, run } of story.steps(scene, spare)) {
    try {
      await run();
      answered += 1;
    } catch (error) {
      const log = (): string => server.output().split('\n').slice(-6).join('\n');
      if (!(error instanceof NotAnswered)) assert.fail(`${name} failed otherwise while ${at}: ${(error as Error).message}\n${log()}`);
      const { status, text } = error;
      assert.ok(status === 200 ? WORDS.test(text) : [500, 503].includes(status) && CODES.test(text), `${name} answered ${status} ${text} while ${at}\n${log()}`);
      return { answered, told: text };
    }
  }
  return { answered, told: undefined };
}

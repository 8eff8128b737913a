/**
 * Bugs planted in a copy of the server, to prove that the kill points and failing disks find them. Nothing of this is in `lib`: a plant is a
 * change of text, made in a copy of the sources that is thrown away afterwards.
 */
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { planted, type Plant } from '../oracle/random/plants.ts';
import { builtServer } from './built-server.ts';
import { tryFailingDisk } from './full-disk.ts';
import { tryKillPoints } from './kill-points.ts';
import { STORIES } from './stories.ts';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));

export interface CrashPlant extends Plant {
  /** Of the story in which it counts. */
  story: string;
  how: 'kill' | 'disk';
}

const SYNC = 'a normal sync with changes of all kinds';
const UPLOAD = 'a full upload of schema 18 over another collection';
const MEDIA = 'a media upload, after which the server stops';
const FIRST = 'a first login, and the first look';
const LOST_INDEX = 'an index of media that was lost, and is begun anew';

export const CRASH_PLANTS: CrashPlant[] = [
  {
    name: 'rows are committed before the usn is',
    file: 'lib/storage/sqlite/collection-session.ts',
    find: 'const modified = this.#prepare(`UPDATE col',
    replace: "this.#db.exec('COMMIT'); this.#db.exec('BEGIN IMMEDIATE'); const modified = this.#prepare(`UPDATE col",
    story: SYNC,
    how: 'kill',
  },
  {
    name: 'finish answers before it commits',
    file: 'lib/storage/sqlite/collection-session.ts',
    find: "this.#db.exec('COMMIT');",
    replace: "setTimeout(() => this.#db.inTransaction && this.#db.exec('COMMIT'), 30);",
    story: SYNC,
    how: 'kill',
  },
  {
    name: 'a collection is removed before the new one takes its place',
    file: 'lib/storage/sqlite/collection.ts',
    find: '      enterWalMode(path);\n      replaceFile(path, target);\n    } catch',
    replace: '      enterWalMode(path);\n      rmSync(target, { force: true });\n      replaceFile(path, target);\n    } catch',
    story: UPLOAD,
    how: 'kill',
  },
  {
    name: 'what an upload replaces is not kept',
    file: 'lib/storage/sqlite/collection.ts',
    find: 'snapshot = takeSnapshot(folder, target, Date.now());',
    replace: 'void takeSnapshot;',
    story: UPLOAD,
    how: 'kill',
  },
  {
    name: 'a snapshot that is the collection in use stays',
    file: 'lib/storage/sqlite/collection.ts',
    find: 'dropSnapshotsInUse(folder, path);',
    replace: 'void dropSnapshotsInUse;',
    story: UPLOAD,
    how: 'kill',
  },
  {
    name: 'uploads that a crash cut off stay for ever',
    file: 'lib/server/rooms.ts',
    find: '    clearStaging(base);',
    replace: '    void clearStaging;',
    story: UPLOAD,
    how: 'kill',
  },
  {
    name: 'the media index changes before the bytes are in their place',
    file: 'lib/media/upload.ts',
    find: 'await stage(changes.flatMap(stagedFile));\n    return [taken.length, await store.apply(user, changes.map(mediaChange))];',
    replace: 'const usn = await store.apply(user, changes.map(mediaChange));\n    await stage(changes.flatMap(stagedFile));\n    return [taken.length, usn];',
    story: MEDIA,
    how: 'kill',
  },
  {
    name: 'staged media are dropped before they are settled',
    file: 'lib/media/user-media.ts',
    find: '    await files.settle(user, changes);\n    await store.settled(user, isAll ? undefined : changes);',
    replace: '    await store.settled(user);\n    await files.settle(user, changes);',
    story: MEDIA,
    how: 'kill',
  },
  {
    name: 'a fresh collection is written in its place',
    file: 'lib/storage/sqlite/collection-file.ts',
    find: 'const temporary = `${path}.new`;',
    replace: 'const temporary = path;',
    story: FIRST,
    how: 'kill',
  },
  {
    name: 'an index of media begins in its place',
    file: 'lib/storage/sqlite/media.ts',
    find: 'const temporary = `${path}.new`;',
    replace: 'const temporary = path;',
    story: LOST_INDEX,
    how: 'disk',
  },
  {
    name: 'a full disk is told as the fault of the client',
    file: 'lib/engine/step-error.ts',
    find: "if (isFullDisk(error)) return new SyncError('DISK_FULL'",
    replace: "if (isFullDisk(error)) return new SyncError('STEP_FAILED'",
    story: SYNC,
    how: 'disk',
  },
  {
    name: 'the log of a failed upload stays',
    file: 'lib/storage/files/staging.ts',
    find: "for (const suffix of ['-journal', '-wal', '']) await rm",
    replace: "for (const suffix of ['']) await rm",
    story: UPLOAD,
    how: 'disk',
  },
  {
    name: 'folders are made as Node makes them',
    file: 'lib/storage/files/durable.ts',
    find: '  for (const folder of missing.toReversed()) {\n    try {\n      mkdirSync(folder);',
    replace: '  for (const folder of missing.slice(0, 1)) {\n    try {\n      mkdirSync(folder, { recursive: true });',
    story: FIRST,
    how: 'disk',
  },
];

/** What was found, or undefined where the bug was not noticed. */
export async function findCrashPlant(plant: CrashPlant, most = 40): Promise<string | undefined> {
  const copy = mkdtempSync(join(tmpdir(), 'anki-planted-'));
  try {
    for (const name of ['lib', 'adapters', 'package.json', 'tsconfig.json', 'tsconfig.build.json']) cpSync(join(ROOT, name), join(copy, name), { recursive: true });
    symlinkSync(join(ROOT, 'node_modules'), join(copy, 'node_modules'));
    writeFileSync(join(copy, plant.file), planted(readFileSync(join(copy, plant.file), 'utf8'), plant));
    const built = builtServer(copy);
    try {
      const story = STORIES.find(({ name }) => name === plant.story)!;
      if (plant.how === 'kill') await tryKillPoints(story, { root: built.root, most });
      else await tryFailingDisk(story, { root: built.root, most });
      return undefined;
    } catch (error) {
      if ((error as Error).name !== 'AssertionError') throw error;
      return (error as Error).message.split('\n')[0];
    } finally {
      built.remove();
    }
  } finally {
    rmSync(copy, { recursive: true, force: true });
  }
}

export function checkCrashPlants(): void {
  for (const plant of CRASH_PLANTS) planted(readFileSync(join(ROOT, plant.file), 'utf8'), plant);
}

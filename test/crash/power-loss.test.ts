/** Loss of power: what was answered is there, the rest is there or not, whatever the disk did with what nobody had made durable. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { planted } from '../oracle/random/plants.ts';
import { DiskModel } from './disk-model.ts';
import { whyNotHere, type Operation } from './operations.ts';
import { POWER_PLANTS } from './power-plants.ts';
import { findPlant, PLAYS, told, tryPlay } from './power.ts';

const skip = (await whyNotHere()) ?? false;

/** Found by seconds; `npm run crash -- --power` has all of them. */
const QUICK_PLANTS = ['host keys are not synced', 'a backup has no durable name', 'names of files in a backup are not durable'];

describe('when the power goes', { skip }, () => {
  for (const name of PLAYS) {
    test(`in ${name}, nothing that was answered is lost, and the client goes on`, async (t) => {
      t.diagnostic(told(name, await tryPlay(name, { most: 8, goOn: 1, seed: 7 })));
    });
  }
});

describe('the search for losses', () => {
  test('knows the places it takes durability from', async () => {
    for (const plant of POWER_PLANTS) planted(await readFile(fileURLToPath(new URL(`../../${plant.file}`, import.meta.url)), 'utf8'), plant);
    for (const { story } of POWER_PLANTS) assert.ok(PLAYS.includes(story), story);
  });

  for (const plant of POWER_PLANTS.filter(({ name }) => QUICK_PLANTS.includes(name))) {
    test(`finds that ${plant.name}`, { skip }, async () => {
      assert.notEqual(await findPlant(plant), undefined);
    });
  }
});

describe('the model of a disk', () => {
  const base = '/disk';
  const operation = (given: Partial<Operation> & Pick<Operation, 'kind' | 'path'>): Operation =>
    ({ number: 1, path2: '', inode: 1, offset: 0, length: given.data?.length ?? 0, result: 0, mode: 0o600, data: Buffer.alloc(0), ...given });
  const model = (order: 'posix' | 'journal', ...operations: Operation[]): DiskModel => {
    const folder = mkdtempSync(join(tmpdir(), 'disk-model-'));
    const disk = new DiskModel(folder, order);
    for (const each of operations) disk.apply({ ...each, path: each.path.replace(base, folder), path2: each.path2.replace(base, folder) });
    rmSync(folder, { recursive: true });
    return disk;
  };
  const seen = (disk: DiskModel, names: 'none' | 'all', data: 'none' | 'all'): Record<string, string | null> =>
    Object.fromEntries([...disk.survivors(names, data)].map(([path, content]) => [path, Buffer.isBuffer(content) ? content.toString() : null]));

  const create = operation({ kind: 'create', path: '/disk/new' });
  const write = operation({ kind: 'write', path: '/disk/new', data: Buffer.from('text') });
  const sync = operation({ kind: 'sync', path: '/disk/new' });
  const rename = operation({ kind: 'rename', path: '/disk/new', path2: '/disk/file' });
  const syncFolder = operation({ kind: 'sync', path: '/disk', inode: 2 });

  test('keeps nothing of a file that nobody synced, or its name alone, or all', () => {
    const disk = model('posix', create, write);
    assert.deepEqual([seen(disk, 'none', 'all'), seen(disk, 'all', 'none'), seen(disk, 'all', 'all')], [{}, { new: '' }, { new: 'text' }]);
  });

  test('keeps the name with fsync of the file where there is a journal, and only with that of the folder by POSIX', () => {
    assert.deepEqual(seen(model('journal', create, write, sync), 'none', 'none'), { new: 'text' });
    assert.deepEqual(seen(model('posix', create, write, sync), 'none', 'none'), {});
    assert.deepEqual(seen(model('posix', create, write, sync, syncFolder), 'none', 'none'), { new: 'text' });
  });

  test('has a file that was renamed too early under its new name and without its bytes', () => {
    assert.deepEqual(seen(model('posix', create, write, rename, syncFolder), 'none', 'none'), { file: '' });
    assert.deepEqual(seen(model('posix', create, write, sync, syncFolder, rename), 'none', 'none'), { new: 'text' });
  });

  test('tears writes by sectors, the same ones for a seed', () => {
    const big = operation({ kind: 'write', path: '/disk/new', data: Buffer.alloc(64 * 1024, 'x') });
    const disk = model('posix', create, syncFolder, big);
    const torn = (seed: number): Buffer => disk.survivors('none', seed).get('new') as Buffer;
    assert.ok(torn(5).equals(torn(5)));
    assert.ok([1, 2, 3, 4].some((seed) => torn(seed).includes(0) && torn(seed).includes('x')));
  });
});

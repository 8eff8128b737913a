/** Commands that write much at once: import, restore, backup. Played once, and the power taken away at every point of their record. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { readManifest } from '../../lib/backup/manifest.ts';
import { unpackZip } from '../../lib/backup/zip.ts';
import { copyDatabase } from '../../lib/storage/sqlite/database-copy.ts';
import { oldHash, writeAuthDb, writeOldUser } from '../import/old-data.ts';
import { makeCollection, makeMedia, makeUsers, MEDIA, NOTES, replaceFolder } from './data-folder.ts';
import { writeFolder } from './disk-model.ts';
import { readOperations } from './operations.ts';
import { disksOf, modelsOf, scratchFolder, type PowerOptions, type PowerTried } from './power-points.ts';
import { filesBelow, findings, stateOf, type State } from './state.ts';
import { watchedProcess } from './watched-process.ts';

export interface Command {
  name: string;
  /** Makes what it works on. `watched` is the folder on the disk whose power goes; `other` lies on another one. */
  before(watched: string, other: string): Promise<void> | void;
  args(watched: string, other: string): string[];
  /** Looks at a disk; `over`: the command had ended with success. `done` is what it led to, `start` what there was. */
  look(disk: string, place: { over: boolean; start: string; done: string; scratch: string }): Promise<void>;
  /** The same command again ends as the first one would have. */
  again?: true;
}

const NAME = 'ada';

/** @throws AssertionError with the point at which something was lost */
export async function tryCommand(command: Command, { most = Infinity, seed = 1, goOn = 0, root }: PowerOptions = {}): Promise<PowerTried> {
  const folder = scratchFolder();
  const [watched, other, start, done, disk] = ['watched', 'other', 'start', 'done', 'disk'].map((name) => join(folder, name)) as [string, string, string, string, string];
  const play = async (log?: string): Promise<void> => {
    const run = await watchedProcess(command.args(watched, other), { folder: watched, ...(log === undefined ? {} : { log }), ...(root === undefined ? {} : { root }) });
    const { code, output } = await run.ended;
    assert.equal(code, 0, output);
  };
  try {
    mkdirSync(watched);
    mkdirSync(other);
    await command.before(watched, other);
    replaceFolder(watched, start);
    const models = modelsOf(watched);
    await play(join(folder, 'log'));
    replaceFolder(watched, done);
    const operations = readOperations(join(folder, 'log'));
    const answered = operations.map((_operation, index) => (index === operations.length - 1 ? 1 : 0));
    const { cuts, disks } = disksOf(watched, { models, operations, answered }, { most, seed });
    const every = Math.max(1, Math.floor(disks.length / Math.max(1, goOn)));
    let wentOn = 0;
    for (const [index, { at, answered: over, found }] of disks.entries()) {
      rmSync(disk, { recursive: true, force: true });
      writeFolder(disk, found);
      try {
        await command.look(disk, { over: over === 1, start, done, scratch: join(folder, 'scratch') });
        if (command.again !== true || index % every !== 0 || wentOn >= goOn) continue;
        wentOn += 1;
        replaceFolder(disk, watched);
        await play();
        await command.look(watched, { over: true, start, done, scratch: join(folder, 'scratch') });
      } catch (error) {
        throw new assert.AssertionError({ message: `${command.name}, when the power went ${at}, ${over === 1 ? 'after' : 'before'} its end: ${(error as Error).message}` });
      }
    }
    return { cuts, disks: disks.length, wentOn };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function homeState(base: string, scratch: string): State {
  const home = join(base, NAME);
  return existsSync(home) ? stateOf(home, scratch, { timeless: true, loose: true }) : { collection: 'none', media: 'none' };
}

/** Names and password hashes. */
function usersIn(base: string, scratch: string): string[] {
  const path = join(base, '.anki-sync', 'users.db');
  if (!existsSync(path)) return [];
  mkdirSync(scratch, { recursive: true });
  const copy = join(scratch, 'users.db');
  rmSync(copy, { force: true });
  copyDatabase(path, copy);
  const db = new Database(copy, { readonly: true });
  try {
    const has = db.prepare("SELECT 1 FROM sqlite_master WHERE name = 'users'").get() !== undefined;
    return has ? (db.prepare('SELECT login_name || password_hash FROM users ORDER BY 1').pluck().all() as string[]) : [];
  } finally {
    db.close();
    rmSync(scratch, { recursive: true, force: true });
  }
}

const COLLECTION = (key: string): boolean => !key.startsWith('media');
const PICKED = (state: State, which: (key: string) => boolean): string => JSON.stringify(Object.entries(state).filter(([key]) => which(key)).sort());

/** Each of cards and media is as before or as after; after the end, as after. */
function expectBeforeOrAfter(state: State, before: State, after: State, over: boolean): void {
  for (const [what, which] of [['cards', COLLECTION], ['media', (key: string) => !COLLECTION(key)]] as const) {
    const allowed = over ? [after] : [before, after];
    assert.ok(allowed.some((each) => PICKED(each, which) === PICKED(state, which)), `the ${what} are ${over ? 'not what they became' : 'neither before nor after'}`);
  }
}

async function expectSound(disk: string): Promise<void> {
  assert.deepEqual((await findings(disk)).problems, []);
}

export const COMMANDS: Command[] = [
  {
    name: 'import of an old server',
    again: true,
    before(_watched, other) {
      makeCollection(join(other, 'made.anki2'));
      writeOldUser(join(other, 'old', 'collections', NAME), { collection: join(other, 'made.anki2'), media: MEDIA, deleted: ['x.png'], firstUsn: 40 });
      writeAuthDb(join(other, 'old', 'auth.db'), { [NAME]: oldHash(NAME, 'one') });
    },
    args: (watched, other) => ['import', join(other, 'old'), '--base', join(watched, 'data')],
    async look(disk, { over, start, done, scratch }) {
      const data = join(disk, 'data');
      expectBeforeOrAfter(homeState(data, scratch), homeState(join(start, 'data'), scratch), homeState(join(done, 'data'), scratch), over);
      if (over) assert.equal(usersIn(data, scratch).length, 1, 'the user is lost');
      if (existsSync(data)) await expectSound(data);
    },
  },
  {
    name: 'restore of a backup over other data',
    again: true,
    async before(watched, other) {
      for (const [base, notes, media] of [[join(other, 'data'), NOTES, MEDIA], [join(watched, 'data'), NOTES + 5, { 'kept.png': 'kept', 'later.png': 'later' }]] as const) {
        await makeUsers(base, [NAME]);
        makeCollection(join(base, NAME, 'collection.anki2'), notes);
        makeMedia(join(base, NAME), media);
      }
      const { code, output } = await (await watchedProcess(['backup', '--base', join(other, 'data'), '--to', join(other, 'backup')], { folder: other })).ended;
      assert.equal(code, 0, output);
    },
    args: (watched, other) => ['restore', '--all', '--from', join(other, 'backup'), '--base', join(watched, 'data')],
    async look(disk, { over, start, done, scratch }) {
      const [now, before, after] = [disk, start, done].map((each) => homeState(join(each, 'data'), scratch)) as [State, State, State];
      const onlyCards = (state: State): State => Object.fromEntries(Object.entries(state).filter(([key]) => COLLECTION(key)));
      expectBeforeOrAfter(over ? now : onlyCards(now), over ? before : onlyCards(before), over ? after : onlyCards(after), over);
      assert.deepEqual(usersIn(join(disk, 'data'), scratch), usersIn(join(start, 'data'), scratch));
      await expectSound(join(disk, 'data'));
    },
  },
  {
    name: 'restore of a backup into nothing',
    again: true,
    async before(_watched, other) {
      await makeUsers(join(other, 'data'), [NAME]);
      makeCollection(join(other, 'data', NAME, 'collection.anki2'));
      makeMedia(join(other, 'data', NAME));
      const { code, output } = await (await watchedProcess(['backup', '--base', join(other, 'data'), '--to', join(other, 'backup.zip')], { folder: other })).ended;
      assert.equal(code, 0, output);
    },
    args: (watched, other) => ['restore', '--all', '--from', join(other, 'backup.zip'), '--base', join(watched, 'data')],
    async look(disk, { over, done, scratch }) {
      const data = join(disk, 'data');
      const users = usersIn(data, scratch);
      assert.ok(users.length === 0 || users.join() === usersIn(join(done, 'data'), scratch).join(), 'other users');
      if (!over) return;
      assert.equal(users.length, 1, 'the user is lost');
      assert.deepEqual(homeState(data, scratch), homeState(join(done, 'data'), scratch));
      await expectSound(data);
    },
  },
  ...(['backup', 'backup.zip'] as const).map((name): Command => ({
    name: `backup into ${name === 'backup' ? 'a folder' : 'a zip file'}`,
    async before(_watched, other) {
      await makeUsers(join(other, 'data'), [NAME]);
      makeCollection(join(other, 'data', NAME, 'collection.anki2'));
      makeMedia(join(other, 'data', NAME), { ...MEDIA, 'con.png': 'a name that Windows has not', [`${'x'.repeat(220)}.png`]: 'a long one' });
    },
    args: (watched, other) => ['backup', '--base', join(other, 'data'), '--to', join(watched, 'backups', name)],
    async look(disk, { over, done, scratch }) {
      const [now, after] = [disk, done].map((each) => filesBelow(join(each, 'backups')));
      // the folder in which the zip was filled may come back
      if (over && name === 'backup.zip') assert.ok(after!.has(name) && now!.get(name) === after!.get(name), 'the zip file is lost');
      if (over && name === 'backup') assert.deepEqual(now, after);
      // what is in its place is whole, or does not pass for a backup
      const place = join(disk, 'backups', name);
      if (!existsSync(place)) return;
      if (name !== 'backup.zip') return expectWholeOrNone(place);
      // one that was made at another time differs in its times alone
      if (now!.get(name) !== after!.get(name)) await expectWholeZip(place, scratch);
    },
  })),
];

async function expectWholeZip(path: string, scratch: string): Promise<void> {
  const to = join(scratch, 'unpacked');
  rmSync(to, { recursive: true, force: true });
  mkdirSync(to, { recursive: true });
  const { files } = await unpackZip(path, to, () => true);
  for (const name of Object.keys(files)) assert.ok(existsSync(join(to, name)), `the zip file lacks ${name}`);
}

function expectWholeOrNone(place: string): void {
  if (!existsSync(join(place, 'manifest.json'))) return;
  for (const [path, { sha256, sha1 }] of Object.entries(readManifest(place).files)) {
    const at = join(place, path);
    assert.ok(existsSync(at), `the manifest lists ${path}, which is lost`);
    const content = readFileSync(at);
    if (sha256 !== undefined) assert.equal(createHash('sha256').update(content).digest('hex'), sha256, path);
    if (sha1 !== undefined) assert.equal(createHash('sha1').update(content).digest('hex'), sha1, path);
  }
}

import assert from 'node:assert/strict';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { after, before } from 'node:test';
import Database from 'better-sqlite3';
import { createCollectionFile } from '../../lib/storage/sqlite/collection-file.ts';
import { ankiSync, temporaryFolder } from '../cli/command.ts';
import { contentsOf, oldHash, writeAuthDb, writeOldUser } from './old-data.ts';

let made: string;
before(() => {
  made = mkdtempSync(join(tmpdir(), 'anki-sync-made-'));
  createCollectionFile(join(made, 'fresh.anki2'));
});
after(() => rmSync(made, { recursive: true, force: true }));

const fresh = (): string => join(made, 'fresh.anki2');
const DJANGO = 'pbkdf2_sha256$1000$abcdefghijkl$gLfHtkQteC323qwsg1iAHjNuz02AzcFUy3ldAAn6TAw=';

function index(base: string, user: string): { entries: unknown[]; meta: unknown } {
  const db = new Database(join(base, user, 'media.db'), { readonly: true });
  try {
    return { entries: db.prepare('SELECT fname, size, usn FROM media ORDER BY usn').raw().all(), meta: db.prepare('SELECT * FROM meta').raw().get() };
  } finally {
    db.close();
  }
}

test('each user comes with collection, media and password, and the source stays as it was', async (t) => {
  const folder = await temporaryFolder(t);
  const [source, base] = [join(folder, 'old'), join(folder, 'new')];
  writeOldUser(join(source, 'collections', 'ada@example.org'), { collection: fresh(), media: { 'a.png': 'a', 'b.png': 'bb' }, deleted: ['gone.png'], firstUsn: 40 });
  writeOldUser(join(source, 'collections', 'Bob'), { collection: fresh(), media: { 'c.png': 'c' }, firstUsn: null });
  writeAuthDb(join(source, 'auth.db'), { 'ada@example.org': oldHash('ada@example.org', 'one'), Bob: DJANGO, carl: oldHash('carl', 'three') });
  const before = contentsOf(source);

  const { code, stdout, stderr } = await ankiSync(['import', source, '--base', base]);
  assert.deepEqual([code, stderr], [0, ''], stdout);
  assert.match(stdout, /^"ada@example\.org": 0 notes, 0 cards, 2 media files \(3 bytes\), keeps the password$/m);
  assert.match(stdout, /^imported 3, imported earlier 0, refused 0$/m);
  assert.deepEqual(contentsOf(source), before);

  for (const [name, password] of [['ada@example.org', 'one'], ['Bob', 'secret'], ['carl', 'three']]) {
    assert.equal((await ankiSync(['user', 'verify', name!, '--base', base], { input: password! })).stdout, 'right\n', name);
  }
  // above every usn that a client may have seen: 40 to 42, and unknown ones
  assert.deepEqual(index(base, 'ada@example.org'), { entries: [['gone.png', 0, 43], ['a.png', 1, 44], ['b.png', 2, 45]], meta: [45, 3, 2] });
  assert.deepEqual(index(base, 'Bob').entries, [['c.png', 1, 1_000_001]]);
  assert.equal(readFileSync(join(base, 'ada@example.org', 'media', 'b.png'), 'utf8'), 'bb');
  assert.equal(existsSync(join(base, 'ada@example.org', 'collection.anki2')), true);
  assert.deepEqual(readdirSync(join(base, '.anki-sync')).filter((name) => name === 'import'), []);
});

for (const [layout, place, auth] of [
  ['users beside auth.db', '', 'auth.db'],
  ['<data_root>/users', 'users', 'auth.db'],
  ['collections, with auth.db inside', 'collections', 'collections/auth.db'],
] as const) {
  test(`the layout is found by looking: ${layout}`, async (t) => {
    const folder = await temporaryFolder(t);
    const [source, base] = [join(folder, 'old'), join(folder, 'new')];
    writeOldUser(join(source, place, 'ada'), { collection: fresh(), media: { 'a.png': 'a' } });
    writeAuthDb(join(source, auth), { ada: oldHash('ada', 'one') }, place === '' ? 'user' : 'username');
    const { code, stdout } = await ankiSync(['import', source, '--base', base]);
    assert.equal(code, 0, stdout);
    assert.equal((await ankiSync(['user', 'verify', 'ada', '--base', base], { input: 'one' })).code, 0);
  });
}

test('what is there already is never overwritten, and the others come all the same', async (t) => {
  const folder = await temporaryFolder(t);
  const [source, base] = [join(folder, 'old'), join(folder, 'new')];
  for (const name of ['ada', 'bob', 'carl']) writeOldUser(join(source, name), { collection: fresh(), media: { 'a.png': name } });
  await ankiSync(['user', 'add', 'ADA', '--base', base], { input: 'mine' });
  mkdirSync(join(base, 'bob'));
  writeFileSync(join(base, 'bob', 'collection.anki2'), 'somebody else');
  const { code, stdout } = await ankiSync(['import', source, '--base', base]);
  assert.equal(code, 1);
  assert.match(stdout, /^"ada": not imported: there is a user "ADA" in the data folder already$/m);
  assert.match(stdout, /^"bob": not imported: there is a folder .*bob already, with data of its own$/m);
  assert.match(stdout, /^"carl": 0 notes/m);
  assert.match(stdout, /cannot sign in before they get a password: .* user passwd NAME --base .*\n {4}carl\n/);
  assert.equal(readFileSync(join(base, 'bob', 'collection.anki2'), 'utf8'), 'somebody else');
  assert.equal((await ankiSync(['user', 'list', '--base', base])).stdout.replaceAll(/\t.*/g, ''), 'ADA\ncarl\n');
});

test('a damaged collection keeps its user out as a whole, with the reason', async (t) => {
  const folder = await temporaryFolder(t);
  const [source, base] = [join(folder, 'old'), join(folder, 'new')];
  writeFileSync(join(made, 'damaged.anki2'), readFileSync(fresh()).subarray(0, 20_000));
  writeOldUser(join(source, 'ada'), { collection: join(made, 'damaged.anki2'), media: { 'a.png': 'a' } });
  writeFileSync(join(made, 'text.anki2'), 'no database at all');
  writeOldUser(join(source, 'bob'), { collection: join(made, 'text.anki2') });
  const { code, stdout } = await ankiSync(['import', source, '--base', base]);
  assert.equal(code, 1);
  assert.match(stdout, /^"ada": not imported: the collection (is damaged|cannot be opened)/m);
  assert.match(stdout, /^"bob": not imported: the collection (is damaged|cannot be opened)/m);
  assert.deepEqual(readdirSync(base), ['.anki-sync']);
  assert.equal((await ankiSync(['user', 'list', '--base', base])).stdout, '');
});

test('a dry run tells the same and changes nothing', async (t) => {
  const folder = await temporaryFolder(t);
  const [source, base] = [join(folder, 'old'), join(folder, 'new')];
  writeOldUser(join(source, 'ada'), { collection: fresh(), media: { 'a.png': 'a' } });
  writeFileSync(join(made, 'bad.anki2'), 'no database');
  writeOldUser(join(source, 'bob'), { collection: join(made, 'bad.anki2') });
  const before = contentsOf(folder);
  const { code, stdout } = await ankiSync(['import', source, '--base', base, '--dry-run']);
  assert.equal(code, 1);
  assert.match(stdout, /^"ada": 0 notes, 0 cards, 1 media file \(1 byte\), no password$/m);
  assert.match(stdout, /^"bob": not imported: /m);
  assert.match(stdout, /^would import 1, imported earlier 0, refused 1\nnothing was changed$/m);
  assert.deepEqual(contentsOf(folder), before);
  assert.equal(existsSync(base), false);
});

test('an import that was cut off is finished by the next one, and a finished one is left alone', async (t) => {
  const folder = await temporaryFolder(t);
  const [source, base] = [join(folder, 'old'), join(folder, 'new')];
  for (const name of ['ada', 'bob']) writeOldUser(join(source, name), { collection: fresh(), media: { 'a.png': name } });
  writeAuthDb(join(source, 'auth.db'), { ada: oldHash('ada', 'one'), bob: oldHash('bob', 'two') });
  assert.equal((await ankiSync(['import', source, '--base', base])).code, 0);
  // as if the process had ended after the folder was in place and before the user had a name, and in the middle of copying
  assert.equal((await ankiSync(['user', 'remove', 'ada', '--base', base])).code, 0);
  cpSync(join(base, 'bob'), join(base, '.anki-sync', 'import', 'user'), { recursive: true });
  writeFileSync(join(base, 'bob', 'media', 'later.png'), 'synced since');

  const { code, stdout } = await ankiSync(['import', source, '--base', base]);
  assert.equal(code, 0, stdout);
  assert.match(stdout, /^"ada": 0 notes, 0 cards, 1 media file \(3 bytes\), keeps the password\n"bob": imported earlier, left as it is\nimported 1, imported earlier 1, refused 0$/m);
  assert.equal((await ankiSync(['user', 'verify', 'ada', '--base', base], { input: 'one' })).code, 0);
  assert.equal(readFileSync(join(base, 'bob', 'media', 'later.png'), 'utf8'), 'synced since');
  assert.equal(existsSync(join(base, '.anki-sync', 'import')), false);
});

test('names that differ only in case stay two users', async (t) => {
  const folder = await temporaryFolder(t);
  const [source, base] = [join(folder, 'old'), join(folder, 'new')];
  writeOldUser(join(source, 'ada'), { media: { 'a.png': 'small' } });
  writeOldUser(join(source, 'Ada'), { media: { 'a.png': 'capital' } });
  assert.equal((await ankiSync(['import', source, '--base', base])).code, 0);
  const lists = (await ankiSync(['user', 'list', '--base', base])).stdout.replaceAll(/\t.*/g, '').trim().split('\n').sort();
  assert.deepEqual(lists, ['Ada', 'ada']);
  const contents = [...contentsOf(base).keys()].filter((path) => path.endsWith('a.png')).map((path) => readFileSync(path, 'utf8')).sort();
  assert.deepEqual(contents, ['capital', 'small']);
});

test('media that no client can have are told, and left behind', async (t) => {
  const folder = await temporaryFolder(t);
  const [source, base] = [join(folder, 'old'), join(folder, 'new')];
  writeOldUser(join(source, 'ada'), { media: { 'Zoe\u0308.png': 'decomposed', 'empty.png': '', 'ok.png': 'ok', '.DS_Store': 'x' } });
  mkdirSync(join(source, 'ada', 'collection.media', 'folder'));
  const { code, stdout } = await ankiSync(['import', source, '--base', base]);
  assert.equal(code, 0, stdout);
  assert.match(stdout, /2 media files/);
  assert.match(stdout, /^ {4}the media file "empty\.png" is empty$/m);
  assert.match(stdout, /^ {4}the media file "folder" is a folder$/m);
  assert.deepEqual(readdirSync(join(base, 'ada', 'media')).sort(), ['Zo\u00eb.png', 'ok.png']);
});

test('an index in the form of clients, which the oldest servers used, is read too', async (t) => {
  const folder = await temporaryFolder(t);
  const [source, base] = [join(folder, 'old'), join(folder, 'new')];
  writeOldUser(join(source, 'ada'), { collection: fresh(), media: { 'a.png': 'a' }, firstUsn: null });
  const db = new Database(join(source, 'ada', 'collection.media.db2'));
  db.exec(`CREATE TABLE media (fname text not null primary key, csum text, mtime int not null, dirty int not null);
    CREATE TABLE meta (dirMod int, lastUsn int); INSERT INTO meta VALUES (5, 77); INSERT INTO media VALUES ('b.png', NULL, 0, 0), ('a.png', 'x', 1, 0)`);
  db.close();
  assert.equal((await ankiSync(['import', source, '--base', base])).code, 0);
  assert.deepEqual(index(base, 'ada').entries, [['b.png', 0, 78], ['a.png', 1, 79]]);
});

test('a log that the old server left is part of the collection, and stays where it is', async (t) => {
  const folder = await temporaryFolder(t);
  const [source, base] = [join(folder, 'old'), join(folder, 'new')];
  const path = join(folder, 'open.anki2');
  cpSync(fresh(), path);
  const db = new Database(path);
  db.pragma('journal_mode = WAL');
  db.exec(`INSERT INTO notes VALUES (1, 'g', (SELECT key FROM col, json_each(models) LIMIT 1), 0, 0, '', 'front' || char(31) || 'back', 'front', 0, 0, '')`);
  // copied while it is open: as after a crash
  writeOldUser(join(source, 'ada'), { collection: path });
  db.close();
  assert.equal(existsSync(join(source, 'ada', 'collection.anki2-wal')), true);
  const { stdout } = await ankiSync(['import', source, '--base', base]);
  assert.match(stdout, /^"ada": 1 note, /m);
  assert.equal(existsSync(join(source, 'ada', 'collection.anki2-wal')), true);
  assert.equal(existsSync(join(base, 'ada', 'collection.anki2-wal')), false);
});

test('what was mistaken for an old data folder is told', async (t) => {
  const [folder, elsewhere] = [await temporaryFolder(t), await temporaryFolder(t)];
  writeOldUser(join(folder, 'old', 'ada'), { collection: fresh() });
  const cases: [string[], RegExp][] = [
    [[join(folder, 'nowhere')], /nowhere is not a folder/],
    [[folder], /no user was found/],
    [[join(folder, 'old', 'ada')], /is the folder of one user: name the folder above it/],
    [[join(folder, 'old'), '--auth-db', join(folder, 'no.db')], /no\.db does not exist/],
    [[join(folder, 'old'), '--auth-db', fresh()], /has no table auth/],
    [[], /import needs the data folder of the old server/],
    [[join(folder, 'old'), '--base', join(folder, 'old', 'new')], /--base must be a folder outside of/],
  ];
  for (const [args, words] of cases) {
    const outcome = await ankiSync(['import', ...args, ...(args.includes('--base') ? [] : ['--base', join(elsewhere, 'new')])], { cwd: elsewhere });
    assert.equal(outcome.code, 2, words.source);
    assert.match(outcome.stderr, words);
  }
  assert.deepEqual([readdirSync(elsewhere), readdirSync(folder)], [[], ['old']]);
});

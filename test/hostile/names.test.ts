/** Names from outside that file systems read as something else: of users, of media, of entries in a zip, and keys that look like names. */
import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, sep } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { RawClient } from '../client/raw.ts';
import { entry, rawUpload, rawZip, uploadZip } from '../media/raw-zip.ts';
import { readZip } from '../media/read-zip.ts';
import { contentType, pythonForm, PYTHON_BOUNDARY } from '../protocol/forms.ts';
import { startOfficialServer, type OfficialServer } from '../oracle/official-server.ts';
import { PASSWORD, runningServer, type RunningServer } from '../server/running-server.ts';
import { until } from '../server/until.ts';

let around: string;
let server: RunningServer;
let officialServer: OfficialServer;

before(async () => {
  around = mkdtempSync(join(tmpdir(), 'anki-sync-names-'));
  // one after the other: whatever fails, `after` knows what to end
  server = await runningServer({ base: join(around, 'deep', 'base') });
  officialServer = await startOfficialServer({ users: { ada: PASSWORD } });
});
after(async () => {
  await server?.stop();
  await officialServer?.stop();
  rmSync(around, { recursive: true, force: true });
});

/** Every file below the test's folder, none of which may lie outside of the data folder or be a link. */
function files(): string[] {
  const all = readdirSync(around, { recursive: true, withFileTypes: true });
  for (const found of all) assert.ok(found.isFile() || found.isDirectory(), `${found.name} is neither a file nor a folder`);
  const paths = all.filter((found) => found.isFile()).map((found) => join(found.parentPath, found.name));
  for (const path of paths) assert.ok(path.startsWith(server.base + sep), path);
  return paths;
}

describe('a user', () => {
  const PAIRS: [what: string, one: string, other: string, same: boolean][] = [
    ['whose name is composed in another way', 'Zo\u00eb', 'Zoe\u0308', true],
    ['whose name has a blank behind it', 'blank', 'blank ', true],
    ['whose name ends with a dot', 'dot', 'dot.', false],
    ['whose name is compatible only', '\ufb01sh', 'fish', false],
    ['whose name has an invisible character', 'in\u200bvisible', 'invisible', false],
    ['whose name is that of a device', 'con', 'CON.txt', false],
    ['whose name is a short name of Windows', 'miller', 'MILLER~1', false],
  ];
  for (const [what, one, other, same] of PAIRS) {
    test(`${what} is ${same ? 'the same one' : 'another one, in another folder'}`, async () => {
      const [a, b] = [await server.user(one), await server.user(other)];
      assert.equal((await a.msync('uploadChanges', uploadZip([['a.png', one]]))).status, 200);
      assert.equal((await b.msync('mediaSanity', { local: same ? 1 : 0 })).text(), '{"data":"OK","err":""}');
      files();
    });
  }

  test('whose name is empty, has controls or no Unicode, or is too long, is told that the password is wrong', async () => {
    for (const name of ['', ' ', '\u0000', 'a\u0000b', 'a\nb', '\u2028', 'x'.repeat(256), 'x'.repeat(60_000)]) {
      await assert.rejects(new RawClient(server.url).hostKey(name, PASSWORD), /answered 403/, JSON.stringify(name.slice(0, 9)));
    }
    const surrogate = await new RawClient(server.url).post('hostKey', '{"u":"\\ud800","p":"x"}');
    assert.ok([400, 403].includes(surrogate.status));
    files();
  });

  test('whose name climbs, is a path, a drive, a share or a stream stays in a folder of the data folder', async () => {
    const names = ['..', '.', '../..', '../../escape', '/etc/passwd', '..\\escape', 'c:', 'c:\\x', '\\\\host\\share', 'a::$DATA', 'a/../../b', '~', '.anki-sync', '.anki-sync-media', 'collection.anki2', 'a\u202egnp.exe', 'com1', 'LPT9.x', 'user=' + '0'.repeat(32), 'x'.repeat(255), '漢'.repeat(85)];
    const before = readdirSync(server.base).length;
    for (const name of names) {
      const user = await server.user(name);
      assert.equal((await user.post('meta', { v: 11, cv: 'x' })).status, 200, name);
      assert.equal((await user.msync('uploadChanges', uploadZip([['a.png', name]]))).status, 200, name);
    }
    assert.equal(readdirSync(server.base).length, before + names.length, 'a folder for each, directly in the data folder');
    files();
  });

  test('whose key is a path, a name of an object, or not text is unknown', async () => {
    await server.user('ada');
    for (const key of ['..', '../ada', 'ada', '/', '__proto__', 'constructor', 'x'.repeat(10_000), '\u0000', '%2e%2e']) {
      const header = await new RawClient(server.url, { key }).post('meta', { v: 11, cv: 'x' });
      const query = await new RawClient(server.url).get(`msync/begin?k=${encodeURIComponent(key)}&v=x`);
      const form = await new RawClient(server.url).send('POST', 'sync/meta', pythonForm({ c: '0', k: key }, Buffer.from('{"v":10,"cv":"x"}')), {
        packed: true, syncHeader: null, headers: { 'content-type': contentType(PYTHON_BOUNDARY) },
      });
      assert.deepEqual([header.status, query.status, form.status].filter((status) => status !== 403 && status !== 400), [], key.slice(0, 20));
    }
    for (const key of ['1', 'null', '[]', '{"toString":1}']) {
      assert.equal((await new RawClient(server.url).post('meta', {}, { syncHeader: `{"v":11,"k":${key},"c":"","s":""}` })).status, 400, key);
    }
  });
});

describe('media', () => {
  const NAMES = [
    'a:b.png', 'a*b?.png', '"<>|.png', 'NUL', 'com1.png', 'trailing.', 'trailing ', ' leading', '...', '-rf', '~', '$HOME', '%2e%2e%2f', 'c:\\x', '\\\\host\\share',
    'a\u202egnp.exe', '\ufeff', '\u200b', '\u0001', 'A.png', 'a.png', 'ß', 'ss', 'ſ', '_meta', 'media.db', '.DS_Store', '\u{1F600}', '__proto__', 'x'.repeat(255),
  ];

  test('of names that some file system forbids or folds are taken, kept apart, and come back, as on the official server', async () => {
    const official = new RawClient(officialServer.url, { sessionKey: 'session' });
    await official.hostKey('ada', PASSWORD);
    const ours = await server.user('odd names');
    for (const client of [official, ours]) {
      for (let from = 0; from < NAMES.length; from += 25) {
        const some = NAMES.slice(from, from + 25);
        const zip = uploadZip(some.map((name) => [name, `content of ${name}`]));
        assert.deepEqual((await client.msync('uploadChanges', zip)).json().data[0], some.length);
        const { names, contents } = await downloaded(client, some);
        assert.deepEqual(names, some);
        assert.deepEqual(contents, some.map((name) => `content of ${name}`));
      }
    }
    files();
  });

  async function downloaded(client: RawClient, names: string[]): Promise<{ names: string[]; contents: string[] }> {
    const zip = await readZip((await client.msync('downloadFiles', { files: names })).body);
    return { names: zip.names, contents: zip.names.map((name) => zip.contents[name]!.toString()) };
  }

  test('of an entry that says it is a link are plain files with what stands in it', async () => {
    const user = await server.user('links');
    const zip = rawUpload('[["link.png","0"]]', [entry('0', '/etc/passwd')]);
    const first = zip.indexOf('PK\x01\x02', 0, 'latin1');
    zip.writeUInt16LE(0x0314, first + 4);
    zip.writeUInt32LE(0o120777 * 0x10000, first + 38);
    assert.equal((await user.msync('uploadChanges', zip)).text(), '{"data":[1,1],"err":""}');
    assert.deepEqual((await downloaded(user, ['link.png'])).contents, ['/etc/passwd']);
    const stored = join(server.base, 'links', 'media', 'link.png');
    await until(() => existsSync(stored));
    files();
    assert.equal(readFileSync(stored, 'utf8'), '/etc/passwd');
  });

  test('are named by the directory of the zip where an entry itself says otherwise', async () => {
    const user = await server.user('mismatch');
    const zip = rawUpload('[["a.png","0"]]', [entry('0', 'content')]);
    zip.write('/', 30);
    assert.equal((await user.msync('uploadChanges', zip)).text(), '{"data":[1,1],"err":""}');
    assert.deepEqual((await downloaded(user, ['a.png'])).contents, ['content']);
  });

  test('of an entry with a name of 65,535 bytes, or with such a name of their own, do no harm', async () => {
    const user = await server.user('long names');
    const long = 'x'.repeat(65_535);
    assert.equal((await user.msync('uploadChanges', rawUpload('[["a.png","0"]]', [entry('0', 'a'), entry(long, 'b')]))).text(), '{"data":[1,1],"err":""}');
    assert.equal((await user.msync('uploadChanges', uploadZip([[long, 'a']]))).status, 400);
    assert.equal((await user.msync('uploadChanges', uploadZip([['y'.repeat(40_000), 'a']]))).status, 400);
    const asked = await user.msync('downloadFiles', { files: [long] });
    assert.ok([400, 409, 413].includes(asked.status), String(asked.status));
    files();
  });

  test('of entries that are folders, or whose name is empty, are refused or read as what they are', async () => {
    const user = await server.user('folders');
    for (const zip of [rawUpload('[["a.png","d/"]]', [entry('d/', '')]), rawZip([entry('', 'a'), entry('_meta', '[["a.png",""]]')])]) {
      const { status } = await user.msync('uploadChanges', zip);
      assert.ok(status === 400 || status === 200, String(status));
    }
    assert.equal((await user.msync('mediaSanity', { local: 0 })).text(), '{"data":"OK","err":""}', 'nothing was added');
  });
});

test('after all of these the server tells of no error of its own', () => {
  assert.deepEqual(server.log.filter(({ code }) => code === 'INTERNAL' || code === 'THREAD_LOST'), []);
});

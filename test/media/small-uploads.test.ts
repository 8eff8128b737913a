/** Zips that are taken from memory: the same answers and the same state as from a file, sound or damaged. */
import assert from 'node:assert/strict';
import { hash } from 'node:crypto';
import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { readStagedLog, StagedLog } from '../../lib/storage/files/staged-log.ts';
import { PlainZip } from '../../lib/media/plain-zip.ts';
import { uploadChanges } from '../../lib/media/upload.ts';
import { settleMedia } from '../../lib/media/user-media.ts';
import { entry, rawUpload, rawZip, uploadZip } from './raw-zip.ts';
import { ada, stateOf, withMedia } from './user-media.ts';

const SOUND = uploadZip([['a.png', 'content of a'], ['ä.png', 'content of ä'], ['gone.png', null]]);

const ZIPS: [name: string, zip: Buffer][] = [
  ['sound', SOUND],
  ['compressed', uploadZip([['a.png', 'a'.repeat(1000)]], { deflate: true })],
  ['with a comment', rawZip([entry('_meta', '[["a.png","0"]]'), entry('0', 'a')], { comment: Buffer.from('comment') })],
  ['with sizes behind the data', rawUpload('[["a.png","0"]]', [entry('0', 'a', { dataDescriptor: true })])],
  ['with two entries of one name', rawUpload('[["a.png","0"]]', [entry('0', 'first'), entry('0', 'second')])],
  ['with an empty file', rawUpload('[["a.png","0"]]', [entry('0', '')])],
  ['with a wrong checksum', rawUpload('[["a.png","0"]]', [entry('0', 'a', { claimedCrc32: 1 })])],
  ['with too many names', rawUpload(JSON.stringify(Array.from({ length: 26 }, (_, i) => [`${i}.png`, null])))],
  ['without the entry that it names', rawUpload('[["a.png","1"]]', [entry('0', 'a')])],
  ['with a name that is a path', rawUpload('[["../a.png","0"]]', [entry('0', 'a')])],
  ['without entries', rawZip([])],
];

/** Bits that are turned, in a row that is the same each time. */
function damaged(count: number): [string, Buffer][] {
  let seed = 1;
  const next = (below: number): number => (seed = (seed * 48_271) % 2_147_483_647) % below;
  return Array.from({ length: count }, () => {
    const zip = Buffer.from(SOUND);
    const at = next(zip.length);
    const bit = next(8);
    zip[at]! ^= 1 << bit;
    return [`with bit ${bit} of byte ${at} turned`, zip];
  });
}

async function outcome(zip: Buffer, how: 'memory' | 'file'): Promise<unknown> {
  let result: unknown;
  await withMedia('SQLite and a folder', async (media) => {
    const path = join(await media.files.stagingFolder(ada), 'body');
    if (how === 'file') await writeFile(path, zip);
    const answer = await uploadChanges(media, how === 'file' ? path : zip).catch((error: { code?: string; message: string }) => `${error.code}: ${error.message}`);
    await rm(path, { force: true });
    const waiting = await stateOf(media);
    await settleMedia(media);
    result = { answer, waiting, settled: await stateOf(media) };
  });
  return result;
}

for (const [name, zip] of [...ZIPS, ...damaged(60)]) {
  test(`a zip ${name} is answered from memory as from a file`, async () => {
    assert.deepEqual(await outcome(zip, 'memory'), await outcome(zip, 'file'));
  });
}

test('what clients send is plain', () => {
  assert.notEqual(PlainZip.of(SOUND), undefined);
  assert.equal(PlainZip.of(SOUND)!.text('_meta', 1000), '[["a.png","0"],["ä.png","1"],["gone.png",null]]');
});

test('a log is read up to what a crash left of its last record, and not beyond', () =>
  withMedia('SQLite and a folder', async (media, base) => {
    await media.files.stagingFolder(ada);
    const log = new StagedLog(join(base, 'ada', '.anki-sync-media', 'staged'));
    const sha1 = (text: string): string => hash('sha1', text);
    const put = (text: string) => log.append(Buffer.from(text), [{ name: text, sha1: sha1(text), offset: 0, bytes: text.length }]);
    await put('first');
    await put('second');
    log.close();
    const whole = await readFile(log.path);
    const names = () => readStagedLog(log.path).map(({ name }) => name);
    assert.deepEqual(names(), ['first', 'second']);
    for (let bytes = 0; bytes < whole.length; bytes++) {
      await writeFile(log.path, whole.subarray(0, bytes));
      assert.ok(names().length < 2, `${bytes} bytes`);
    }
    // its place on the disk was there, its bytes were not
    for (let bytes = 1; bytes < 20; bytes++) {
      await writeFile(log.path, Buffer.concat([whole.subarray(0, -bytes), Buffer.alloc(bytes)]));
      assert.deepEqual(names(), ['first'], `${bytes} bytes`);
    }
  }));

/** Uploads and what becomes of them: the same list for us and for Anki's server. */
import { entry, rawUpload, rawZip, uploadZip } from './raw-zip.ts';

const MiB = 1024 * 1024;

export interface Upload {
  sentence: string;
  zip: () => Buffer;
  /** `[processed, usn]` for a user who has nothing yet, or the code of our error. */
  answer: [processed: number, usn: number] | 'MEDIA_ZIP_INVALID' | 'MEDIA_NAME_INVALID' | 'MEDIA_TOO_MANY_FILES';
  /** Where Anki's server differs: its status, or its answer. */
  official?: number | [processed: number, usn: number];
  why?: string;
}

const named = (name: string): Buffer => uploadZip([[name, 'content']]);
const meta = (value: unknown): string => JSON.stringify(value);

export const UPLOADS: Upload[] = [
  // names
  { sentence: 'a plain name', zip: () => named('a.png'), answer: [1, 1] },
  { sentence: 'a name of 255 bytes', zip: () => named('漢'.repeat(85)), answer: [1, 1] },
  { sentence: 'a name of 256 bytes', zip: () => named(`${'漢'.repeat(85)}x`), answer: 'MEDIA_NAME_INVALID' },
  { sentence: 'a name that is not NFC', zip: () => named('A\u0308.png'), answer: 'MEDIA_NAME_INVALID' },
  { sentence: 'a name with a slash', zip: () => named('a/b.png'), answer: 'MEDIA_NAME_INVALID' },
  { sentence: 'a name that climbs', zip: () => named('../a.png'), answer: 'MEDIA_NAME_INVALID' },
  { sentence: 'an empty name', zip: () => named(''), answer: 'MEDIA_NAME_INVALID', official: 500, why: 'fails on its file system' },
  { sentence: 'the name .', zip: () => named('.'), answer: 'MEDIA_NAME_INVALID', official: 500, why: 'fails on its file system' },
  { sentence: 'the name ..', zip: () => named('..'), answer: 'MEDIA_NAME_INVALID', official: 500, why: 'fails on its file system' },
  { sentence: 'a name with NUL', zip: () => named('a\0b'), answer: 'MEDIA_NAME_INVALID', official: 500, why: 'fails on its file system' },
  {
    sentence: 'a name with half a surrogate pair',
    zip: () => rawUpload('[["\\ud800.png","0"]]', [entry('0', 'content')]),
    answer: 'MEDIA_NAME_INVALID',
  },
  { sentence: 'a name with a backslash', zip: () => named('a\\b.png'), answer: [1, 1] },
  { sentence: 'the name of a device', zip: () => named('con.png'), answer: [1, 1] },
  { sentence: 'a name of one space', zip: () => named(' '), answer: [1, 1] },
  { sentence: 'a name with line breaks and control characters', zip: () => named('a\r\n\u0001\u007f.png'), answer: [1, 1] },
  { sentence: 'a name that begins with a dot', zip: () => named('.anki-sync-media'), answer: [1, 1] },
  { sentence: 'a wrong name beside a good one', zip: () => uploadZip([['a.png', 'a'], ['b/c', 'b']]), answer: 'MEDIA_NAME_INVALID' },
  { sentence: 'a deletion of a wrong name', zip: () => uploadZip([['a/b.png', null]]), answer: 'MEDIA_NAME_INVALID' },
  // entries
  { sentence: 'nothing', zip: () => rawUpload('[]'), answer: [0, 0] },
  { sentence: '25 files', zip: () => uploadZip(Array.from({ length: 25 }, (_, i) => [`${i}.png`, `${i}`])), answer: [25, 25] },
  { sentence: '26 files', zip: () => uploadZip(Array.from({ length: 26 }, (_, i) => [`${i}.png`, `${i}`])), answer: 'MEDIA_TOO_MANY_FILES' },
  { sentence: '26 deletions', zip: () => uploadZip(Array.from({ length: 26 }, (_, i) => [`${i}.png`, null])), answer: 'MEDIA_TOO_MANY_FILES' },
  { sentence: 'a deletion of an unknown name', zip: () => uploadZip([['a.png', null]]), answer: [1, 0] },
  { sentence: 'a deletion as older clients write it', zip: () => rawUpload('[["a.png",""]]'), answer: [1, 0] },
  { sentence: 'an empty file', zip: () => uploadZip([['a.png', '']]), answer: 'MEDIA_ZIP_INVALID' },
  { sentence: 'the same name and content twice', zip: () => uploadZip([['a.png', 'a'], ['a.png', 'a']]), answer: [2, 1] },
  { sentence: 'the same name with two contents', zip: () => uploadZip([['a.png', 'a'], ['a.png', 'b']]), answer: [2, 2] },
  { sentence: 'a name that is added, deleted and added', zip: () => uploadZip([['a.png', 'a'], ['a.png', null], ['a.png', 'a']]), answer: [3, 3] },
  { sentence: 'two names for one entry', zip: () => rawUpload(meta([['a.png', '0'], ['b.png', '0']]), [entry('0', 'a')]), answer: [2, 2] },
  { sentence: 'entries that _meta does not name', zip: () => rawUpload(meta([['a.png', '0']]), [entry('0', 'a'), entry('1', 'b')]), answer: [1, 1] },
  { sentence: 'entries named like paths', zip: () => rawUpload(meta([['a.png', '../../0']]), [entry('../../0', 'a'), entry('/etc/x', 'b'), entry('c:\\d', 'c')]), answer: [1, 1] },
  { sentence: 'an entry with a backslash', zip: () => rawUpload(meta([['a.png', 'a\\b']]), [entry('a\\b', 'a')]), answer: [1, 1] },
  { sentence: 'an entry whose name is not UTF-8', zip: () => rawUpload(meta([['a.png', 'é']]), [{ ...entry('', 'a'), name: Buffer.from([0x82]), flags: 0 }]), answer: [1, 1] },
  { sentence: 'an entry that is missing', zip: () => rawUpload(meta([['a.png', '1']]), [entry('0', 'a')]), answer: 'MEDIA_ZIP_INVALID' },
  { sentence: '_meta as a media file', zip: () => rawUpload(meta([['a.png', '_meta']])), answer: [1, 1] },
  // how the zip is made
  { sentence: 'deflated entries', zip: () => uploadZip([['a.png', 'a'.repeat(100_000)]], { deflate: true }), answer: [1, 1] },
  { sentence: 'sizes behind the data', zip: () => rawUpload(meta([['a.png', '0']]), [entry('0', 'aaaa', { dataDescriptor: true, deflate: true })]), answer: [1, 1] },
  { sentence: 'an encrypted entry', zip: () => rawUpload(meta([['a.png', '0']]), [entry('0', 'a'.repeat(30), { flags: 0x801 })]), answer: 'MEDIA_ZIP_INVALID' },
  { sentence: 'an unknown compression', zip: () => rawUpload(meta([['a.png', '0']]), [entry('0', 'a', { method: 12 })]), answer: 'MEDIA_ZIP_INVALID' },
  { sentence: 'a wrong checksum', zip: () => rawUpload(meta([['a.png', '0']]), [entry('0', 'a', { claimedCrc32: 1 })]), answer: 'MEDIA_ZIP_INVALID' },
  {
    sentence: 'a stored entry that claims another size',
    zip: () => rawUpload(meta([['a.png', '0']]), [entry('0', 'aaaa', { claimedBytes: 3 })]),
    answer: 'MEDIA_ZIP_INVALID',
    official: [1, 1],
    why: 'reads what is there',
  },
  {
    sentence: 'a deflated entry that claims less than it holds',
    zip: () => rawUpload(meta([['a.png', '0']]), [entry('0', 'a'.repeat(1000), { deflate: true, claimedBytes: 10 })]),
    answer: 'MEDIA_ZIP_INVALID',
    official: [1, 1],
    why: 'reads what is there',
  },
  {
    sentence: 'a file of more than 100 MiB',
    zip: () => rawUpload(meta([['a.bin', '0']]), [entry('0', Buffer.alloc(100 * MiB + 1), { deflate: true })]),
    answer: 'MEDIA_ZIP_INVALID',
  },
  {
    sentence: 'a file of exactly 100 MiB',
    zip: () => rawUpload(meta([['a.bin', '0']]), [entry('0', Buffer.alloc(100 * MiB), { deflate: true })]),
    answer: [1, 1],
  },
  { sentence: 'no _meta', zip: () => rawZip([entry('0', 'a')]), answer: 'MEDIA_ZIP_INVALID' },
  {
    sentence: '_meta twice, the last of which counts',
    zip: () => rawZip([entry('_meta', '[["a.png","0"]]'), entry('0', 'a'), entry('_meta', '[["b.png",null]]')]),
    answer: [1, 0],
  },
  { sentence: 'an entry twice, the last of which counts', zip: () => rawUpload(meta([['a.png', '0']]), [entry('0', ''), entry('0', 'a')]), answer: [1, 1] },
  { sentence: '_meta that is no JSON', zip: () => rawUpload('[["a.png",null]'), answer: 'MEDIA_ZIP_INVALID' },
  { sentence: '_meta that is no list', zip: () => rawUpload('{}'), answer: 'MEDIA_ZIP_INVALID' },
  { sentence: '_meta with something behind the list', zip: () => rawUpload('[] []'), answer: 'MEDIA_ZIP_INVALID' },
  { sentence: '_meta that is not UTF-8', zip: () => rawUpload(Buffer.from('[["\xff",null]]', 'latin1')), answer: 'MEDIA_ZIP_INVALID' },
  { sentence: '_meta with a single', zip: () => rawUpload('[["a.png"]]'), answer: 'MEDIA_ZIP_INVALID' },
  { sentence: '_meta with a triple', zip: () => rawUpload('[["a.png",null,1]]'), answer: 'MEDIA_ZIP_INVALID' },
  { sentence: '_meta with a number for a name', zip: () => rawUpload('[[1,null]]'), answer: 'MEDIA_ZIP_INVALID' },
  { sentence: '_meta with a number for an entry', zip: () => rawUpload('[["a.png",0]]', [entry('0', 'a')]), answer: 'MEDIA_ZIP_INVALID' },
  { sentence: '_meta of 50 KiB', zip: () => rawUpload(`[["a.png",null]${' '.repeat(50 * 1024 - 16)}]`), answer: [1, 0] },
  { sentence: '_meta of more than 50 KiB', zip: () => rawUpload(`[["a.png",null]${' '.repeat(50 * 1024 - 15)}]`), answer: 'MEDIA_ZIP_INVALID' },
  { sentence: 'no zip', zip: () => Buffer.from('this is no zip'), answer: 'MEDIA_ZIP_INVALID' },
  { sentence: 'no bytes at all', zip: () => Buffer.alloc(0), answer: 'MEDIA_ZIP_INVALID' },
  { sentence: 'a zip that ends early', zip: () => named('a.png').subarray(0, -30), answer: 'MEDIA_ZIP_INVALID' },
  { sentence: 'a zip that begins late', zip: () => named('a.png').subarray(40), answer: 'MEDIA_ZIP_INVALID' },
];

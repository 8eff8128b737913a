/** The table of answers: every request of protocol.md's first table, and its relatives. */
import { constants, zstdCompressSync } from 'node:zlib';
import type { RawClient, RawResponse } from '../client/raw.ts';
import type { ErrorCode } from '../../lib/errors.ts';
import { uploadZip } from '../media/raw-zip.ts';
import { changedBy, someCollection } from './collection-bytes.ts';

/** A code stands for its status; text is the whole body, and a pattern describes it. */
export interface Answer {
  status: number;
  code?: ErrorCode;
  text?: string | RegExp;
}

export interface Question {
  sentence: string;
  /** `user` is signed in, with a session key, and has nothing yet. */
  ask: (user: RawClient) => Promise<RawResponse>;
  answer: Answer;
  /** Where Anki's server answers something else, told in docs/differences.md. */
  official?: Answer;
  why?: string;
}

const META = { v: 11, cv: 'test' };
const CORRUPT = 'Your upload was corrupt. Please use Check Database, or restore from backup.';

const code = (of: ErrorCode, status: number): Answer => ({ status, code: of });
const header = (user: RawClient, changes: object): string => JSON.stringify({ v: 11, k: user.key, c: 'test', s: 's', ...changes });
/** `anki-sync` as given, on an otherwise good request. */
const withHeader = (syncHeader: (user: RawClient) => string | null) => (user: RawClient): Promise<RawResponse> =>
  user.post('meta', META, { syncHeader: syncHeader(user) });
const meta = (user: RawClient, options: Parameters<RawClient['post']>[2] = {}): Promise<RawResponse> => user.post('meta', META, options);
const zstd = (text: string): Buffer => zstdCompressSync(Buffer.from(text));
const packed = (bytes: Uint8Array) => (user: RawClient): Promise<RawResponse> => user.post('meta', bytes, { packed: true });

const META_TEXT = /^\{.*"media_usn":0.*\}$/;
const OK_META: Answer = { status: 200, text: META_TEXT };

const paths: Question[] = [
  { sentence: 'GET / is a page for people', ask: (user) => user.get(''), answer: { status: 200, text: /<html/ }, official: { status: 404 }, why: 'it has none' },
  { sentence: 'GET /health', ask: (user) => user.get('health'), answer: { status: 200 } },
  { sentence: 'GET /sync/meta', ask: (user) => user.get('sync/meta'), answer: code('HTTP_METHOD_WRONG', 405) },
  { sentence: 'GET of anything else', ask: (user) => user.get('favicon.ico'), answer: code('PATH_UNKNOWN', 404) },
  { sentence: 'an unknown method of /sync', ask: (user) => user.post('nothing', {}), answer: code('METHOD_UNKNOWN', 400) },
  {
    sentence: 'an unknown method of /msync', ask: (user) => user.msync('nothing', {}), answer: code('METHOD_UNKNOWN', 400),
  },
  { sentence: 'a method of /msync under /sync', ask: (user) => user.post('mediaChanges', { lastUsn: 0 }), answer: code('METHOD_UNKNOWN', 400) },
  { sentence: '//sync/meta', ask: (user) => user.send('POST', '//sync/meta', META), answer: OK_META, official: { status: 404 }, why: 'people mistype slashes' },
  { sentence: '/sync/meta/', ask: (user) => user.post('meta/', META), answer: OK_META, official: { status: 404 }, why: 'people mistype slashes' },
  {
    sentence: 'a path that a proxy left its prefix on', ask: (user) => user.send('POST', 'anki/sync/meta', META),
    answer: OK_META, official: { status: 404 }, why: 'the end of the path is enough to know the method',
  },
];

const headers: Question[] = [
  { sentence: 'no anki-sync header', ask: withHeader(() => null), answer: code('SYNC_HEADER_INVALID', 400) },
  { sentence: 'a header that is not JSON', ask: withHeader(() => 'hello'), answer: code('SYNC_HEADER_INVALID', 400) },
  { sentence: 'a header that is a list', ask: withHeader(() => '[]'), answer: code('SYNC_HEADER_INVALID', 400) },
  ...['v', 'k', 'c', 's'].map((key): Question => ({
    sentence: `a header that lacks ${key}`,
    ask: withHeader((user) => header(user, { [key]: undefined })),
    answer: code('SYNC_HEADER_INVALID', 400),
  })),
  { sentence: 'a header with keys that nobody knows', ask: withHeader((user) => header(user, { x: 1 })), answer: OK_META },
  ...[7, 12].map((v): Question => ({
    sentence: `a header of version ${v}`, ask: (user) => meta(user, { version: v }), answer: code('SYNC_VERSION_UNSUPPORTED', 400),
  })),
  ...[8, 9, 10, 11].map((v): Question => ({ sentence: `a header of version ${v}`, ask: (user) => meta(user, { version: v }), answer: OK_META })),
];

const WITH_KEY = ['meta', 'start', 'applyGraves', 'applyChanges', 'chunk', 'applyChunk', 'sanityCheck2', 'finish', 'abort', 'upload', 'download'];
const MEDIA_METHODS = ['begin', 'mediaChanges', 'uploadChanges', 'downloadFiles', 'mediaSanity'];

const keys: Question[] = [
  {
    sentence: 'meta with neither key nor body', ask: (user) => user.post('meta', Buffer.alloc(0), { packed: true, key: '' }),
    answer: code('AUTH_EXPECTED', 400), official: { status: 403 }, why: 'no client sends it; 403 is for credentials alone',
  },
  { sentence: 'hostKey with neither key nor body', ask: (user) => user.post('hostKey', Buffer.alloc(0), { packed: true, key: '' }), answer: code('AUTH_EXPECTED', 400) },
  ...WITH_KEY.map((method): Question => ({
    sentence: `${method} without a key`, ask: (user) => user.post(method, {}, { key: '' }), answer: code('HOST_KEY_UNKNOWN', 403),
  })),
  ...MEDIA_METHODS.map((method): Question => ({
    sentence: `${method} without a key`, ask: (user) => user.msync(method, {}, { key: '' }), answer: code('HOST_KEY_UNKNOWN', 403),
  })),
  ...WITH_KEY.map((method): Question => ({
    sentence: `${method} with an unknown key`, ask: (user) => user.post(method, {}, { key: 'unknown' }), answer: code('HOST_KEY_UNKNOWN', 403),
  })),
  ...MEDIA_METHODS.map((method): Question => ({
    sentence: `${method} with an unknown key`, ask: (user) => user.msync(method, {}, { key: 'unknown' }), answer: code('HOST_KEY_UNKNOWN', 403),
  })),
  {
    sentence: 'an unknown key and a bad body', ask: (user) => user.post('meta', Buffer.from('garbage'), { packed: true, key: 'unknown' }),
    answer: code('HOST_KEY_UNKNOWN', 403), official: { status: 400 }, why: 'reads the body first',
  },
  { sentence: 'a wrong password', ask: (user) => user.post('hostKey', { u: 'user0', p: 'wrong' }, { key: '' }), answer: code('PASSWORD_WRONG', 403) },
  { sentence: 'an unknown user', ask: (user) => user.post('hostKey', { u: 'nobody', p: 'wrong' }, { key: '' }), answer: code('PASSWORD_WRONG', 403) },
  { sentence: 'an empty password', ask: (user) => user.post('hostKey', { u: 'user0', p: '' }, { key: '' }), answer: code('PASSWORD_WRONG', 403) },
  { sentence: 'a login without a password', ask: (user) => user.post('hostKey', { u: 'user0' }, { key: '' }), answer: code('BODY_INVALID', 400) },
  { sentence: 'a login that is not JSON', ask: (user) => user.post('hostKey', 'u=user0', { key: '' }), answer: code('BODY_NOT_JSON', 400) },
  { sentence: 'a start without a session key', ask: (user) => user.post('start', { minUsn: 0, lnewer: false }, { sessionKey: '' }), answer: code('SESSION_KEY_MISSING', 400) },
];

const bodies: Question[] = [
  { sentence: 'a body that is not zstd', ask: packed(Buffer.from('{"v":11,"cv":""}')), answer: code('BODY_NOT_ZSTD', 400) },
  { sentence: 'a body that ends early', ask: packed(zstd(JSON.stringify(META)).subarray(0, -3)), answer: code('BODY_TRUNCATED', 400) },
  { sentence: 'no body', ask: packed(Buffer.alloc(0)), answer: code('BODY_TRUNCATED', 400) },
  {
    sentence: 'a body with something behind its frame', ask: packed(Buffer.concat([zstd(JSON.stringify(META)), Buffer.from('garbage')])),
    answer: code('BODY_TRAILING_DATA', 400), official: OK_META, why: 'ignores it',
  },
  { sentence: 'a body with an empty frame behind its own', ask: packed(Buffer.concat([zstd(JSON.stringify(META)), zstd('')])), answer: OK_META },
  {
    sentence: 'a body that is damaged inside',
    ask: packed(damaged(zstdCompressSync(Buffer.from(JSON.stringify(META)), { params: { [constants.ZSTD_c_checksumFlag]: 1 } }))),
    answer: code('BODY_NOT_ZSTD', 400),
  },
  { sentence: 'a body that is not JSON', ask: (user) => user.post('meta', '{"v":11'), answer: code('BODY_NOT_JSON', 400) },
  { sentence: 'a body that is not UTF-8', ask: (user) => user.post('meta', Buffer.from('{"v":11,"cv":"\xff"}', 'latin1')), answer: code('BODY_NOT_JSON', 400) },
  { sentence: 'a body that lacks a field', ask: (user) => user.post('meta', { v: 11 }), answer: code('BODY_INVALID', 400) },
  { sentence: 'a body that is a list', ask: (user) => user.post('start', []), answer: code('BODY_INVALID', 400) },
  ...['finish', 'abort', 'download', 'chunk'].map((method): Question => ({
    sentence: `${method} with an unknown field`, ask: (user) => user.post(method, { unknown: 1 }), answer: code('BODY_INVALID', 400),
  })),
  ...['abort', 'download'].map((method): Question => ({
    sentence: `${method} as clients in Rust write it`, ask: (user) => user.post(method, { _pad: null }, { version: 10 }), answer: { status: 200 },
  })),
  { sentence: 'a body with its length told, as proxies send it', ask: (user) => meta(user, { chunked: false }), answer: OK_META },
];

/** A byte of the middle is another one. */
function damaged(frame: Buffer): Buffer {
  const copy = Buffer.from(frame);
  copy[copy.length >> 1]! ^= 0xff;
  return copy;
}

const fullSync: Question[] = [
  { sentence: 'an upload of garbage', ask: (user) => user.post('upload', Buffer.from('garbage')), answer: { status: 200, text: CORRUPT } },
  { sentence: 'an upload that is no zstd', ask: (user) => user.post('upload', Buffer.from('garbage'), { packed: true }), answer: code('BODY_NOT_ZSTD', 400) },
  {
    sentence: 'an upload that ends early',
    ask: async (user) => user.post('upload', zstdCompressSync(await someCollection(user)).subarray(0, -10), { packed: true }),
    answer: code('BODY_TRUNCATED', 400), official: { status: 200, text: CORRUPT }, why: 'takes what came for the whole, and finds it damaged later',
  },
  {
    sentence: 'an upload of nothing', ask: (user) => user.post('upload', Buffer.alloc(0)),
    answer: { status: 200, text: CORRUPT }, official: { status: 200, text: 'OK' }, why: 'it replaces the collection by an empty one',
  },
  {
    sentence: 'an upload without any body', ask: (user) => user.post('upload', Buffer.alloc(0), { packed: true }),
    answer: { status: 200, text: CORRUPT }, official: { status: 200, text: 'OK' }, why: 'it replaces the collection by an empty one',
  },
  {
    sentence: 'an upload of a newer schema', ask: async (user) => user.post('upload', await changedBy(await someCollection(user), 'UPDATE col SET ver = 19')),
    answer: { status: 200, text: /^This collection was made by a newer Anki/ }, official: { status: 200, text: CORRUPT }, why: 'says what is wrong',
  },
  {
    sentence: 'an upload with a trigger',
    ask: async (user) => user.post('upload', await changedBy(await someCollection(user), 'CREATE TRIGGER t AFTER UPDATE ON col BEGIN DELETE FROM notes; END')),
    answer: { status: 200, text: CORRUPT }, official: { status: 200, text: 'OK' }, why: 'code in an uploaded file never runs',
  },
  { sentence: 'an upload of a collection', ask: async (user) => user.post('upload', await someCollection(user)), answer: { status: 200, text: 'OK' } },
  { sentence: 'a download', ask: (user) => user.post('download', {}), answer: { status: 200, text: /^SQLite format 3\0/ } },
  { sentence: 'an abort', ask: (user) => user.post('abort', {}), answer: { status: 200, text: 'null' } },
];

const upload = (user: RawClient, files: [string, string | null][]): Promise<RawResponse> => user.msync('uploadChanges', uploadZip(files));
const times = (count: number): [string, string][] => Array.from({ length: count }, (_, index) => [`${index}.png`, `${index}`]);
const media = (data: unknown): Answer => ({ status: 200, text: JSON.stringify({ data, err: '' }) });

const mediaSync: Question[] = [
  { sentence: 'a media begin without a version', ask: (user) => user.msync('begin', {}), answer: code('BODY_INVALID', 400) },
  { sentence: 'a media begin with an empty version', ask: (user) => user.msync('begin', { v: '' }), answer: code('BODY_INVALID', 400) },
  { sentence: 'a media begin', ask: (user) => user.msync('begin', { v: 'test' }), answer: { status: 200, text: /^\{"data":\{"usn":0,"sk":"[^"]+"\},"err":""\}$/ } },
  { sentence: 'a media upload', ask: (user) => upload(user, [['a.png', 'a']]), answer: media([1, 1]) },
  { sentence: 'a media upload of 26 files', ask: (user) => upload(user, times(26)), answer: code('MEDIA_TOO_MANY_FILES', 400) },
  { sentence: 'a media upload of a name with a slash', ask: (user) => upload(user, [['a/b.png', 'a']]), answer: code('MEDIA_NAME_INVALID', 400) },
  {
    sentence: 'a media upload of the name ..', ask: (user) => upload(user, [['..', 'a']]),
    answer: code('MEDIA_NAME_INVALID', 400), official: { status: 500 }, why: 'fails on its file system',
  },
  { sentence: 'a media upload that is no zip', ask: (user) => user.msync('uploadChanges', Buffer.from('garbage')), answer: code('MEDIA_ZIP_INVALID', 400) },
  { sentence: 'a media upload of nothing', ask: (user) => user.msync('uploadChanges', Buffer.alloc(0)), answer: code('MEDIA_ZIP_INVALID', 400) },
  {
    sentence: 'media changes are names, usns and hashes, deleted ones without a hash',
    ask: async (user) => {
      await upload(user, [['a.png', 'a'], ['b.png', 'b']]);
      await upload(user, [['b.png', null]]);
      return user.msync('mediaChanges', { lastUsn: 0 });
    },
    answer: media([['a.png', 1, '86f7e437faa5a7fce15d1ddcb9eaeaea377667b8'], ['b.png', 3, '']]),
  },
  {
    sentence: 'media changes since the last one', ask: async (user) => (await upload(user, [['a.png', 'a']]), user.msync('mediaChanges', { lastUsn: 1 })),
    answer: media([]),
  },
  { sentence: 'a download of an unknown file', ask: (user) => user.msync('downloadFiles', { files: ['a.png'] }), answer: code('MEDIA_FILE_MISSING', 409) },
  {
    sentence: 'a download of 26 files', ask: (user) => user.msync('downloadFiles', { files: times(26).map(([name]) => name) }),
    answer: code('MEDIA_TOO_MANY_FILES', 400),
  },
  { sentence: 'a download of no files', ask: (user) => user.msync('downloadFiles', { files: [] }), answer: { status: 200, text: /^PK.*_meta.*\{\}/s } },
  {
    sentence: 'a download of a file', ask: async (user) => (await upload(user, [['a.png', 'the bytes']]), user.msync('downloadFiles', { files: ['a.png'] })),
    answer: { status: 200, text: /^PK.*the bytes/s },
  },
  {
    sentence: 'a media sanity check with the same number of files', ask: async (user) => (await upload(user, [['a.png', 'a']]), user.msync('mediaSanity', { local: 1 })),
    answer: media('OK'),
  },
  { sentence: 'a media sanity check with another number', ask: (user) => user.msync('mediaSanity', { local: 1 }), answer: media('mediaSanity') },
];

export const ANSWERS: Record<string, Question[]> = { paths, headers, keys, bodies, 'full sync': fullSync, 'media sync': mediaSync };

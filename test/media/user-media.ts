/** One user's media on each pair of plugs that we have. */
import { mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { downloadFiles } from '../../lib/media/download.ts';
import { uploadChanges } from '../../lib/media/upload.ts';
import { settleMedia, type UserMedia } from '../../lib/media/user-media.ts';
import { FolderMediaFiles } from '../../lib/storage/files/folder.ts';
import { MemoryMediaFiles, MemoryMediaStore } from '../../lib/storage/memory/media.ts';
import type { FileRange } from '../../lib/storage/storage.ts';
import { SqliteMediaStore } from '../../lib/storage/sqlite/media.ts';
import { uploadZip } from './raw-zip.ts';

export const PLUGS = ['memory', 'SQLite and a folder'] as const;
export const ada = { userId: 'ada', folder: 'ada' };

export async function withMedia(plugs: (typeof PLUGS)[number], body: (media: UserMedia, base: string) => Promise<void>): Promise<void> {
  const base = await mkdtemp(join(tmpdir(), 'media-'));
  const media: UserMedia =
    plugs === 'memory'
      ? { store: new MemoryMediaStore(), files: new MemoryMediaFiles(), user: ada }
      : { store: new SqliteMediaStore({ base }), files: new FolderMediaFiles({ base }), user: ada };
  try {
    await body(media, base);
  } finally {
    await media.store.close();
    await media.files.close();
    await rm(base, { recursive: true, force: true });
  }
}

/** Uploads from the staging folder and settles, as the server does. */
export async function upload(media: UserMedia, zip: Uint8Array): Promise<[processed: number, usn: number]> {
  const path = join(await media.files.stagingFolder(media.user), 'body');
  await writeFile(path, zip);
  let answer: [processed: number, usn: number];
  try {
    answer = await uploadChanges(media, path);
  } finally {
    await rm(path, { force: true });
  }
  await settleMedia(media);
  return answer;
}

export function put(media: UserMedia, ...changes: Parameters<typeof uploadZip>[0]): Promise<[processed: number, usn: number]> {
  return upload(media, uploadZip(changes));
}

/** The bytes of a download, and nothing left behind. */
export async function download(media: UserMedia, names: string[]): Promise<Buffer> {
  const zip = await downloadFiles(media, names);
  if (zip.kind === 'bytes') return Buffer.from(zip.data);
  const data = await readFile(zip.path);
  await rm(zip.path);
  if (data.length !== zip.bytes) throw new Error('the size of the zip is not what was said');
  return data;
}

export async function bytesOf({ path, offset, bytes }: FileRange): Promise<Buffer> {
  return (await readFile(path)).subarray(offset, offset + bytes);
}

/** Everything that the index and the files say, to be compared. */
export async function stateOf({ store, files, user }: UserMedia): Promise<unknown> {
  const entries = await store.changesAfter(user, 0, 1_000_000);
  const contents: Record<string, string | null> = {};
  for (const { name, sha1 } of entries) {
    const found = await files.read(user, name, sha1);
    contents[name] = found === null ? null : (await bytesOf(found)).toString('latin1');
  }
  const left = await readdir(await files.stagingFolder(user));
  return { totals: await store.totals(user), entries, contents, left };
}

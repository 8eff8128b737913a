import { hash, randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { SyncError } from '../errors.ts';
import { copyRange } from '../storage/files/hashed-copy.ts';
import type { MediaEntry } from '../storage/storage.ts';
import { MAX_FILES_IN_ZIP, TARGET_ZIP_BYTES } from './limits.ts';
import { requireFolder, type UserMedia } from './user-media.ts';
import { giveZipMemoryBack } from './zip-memory.ts';
import { type FileToSend, zipToBytes, zipToFile } from './zip.ts';

/** Most that is zipped in memory: all but the zips that end in a big file. */
const MAX_BYTES_IN_MEMORY = 4 * 1024 * 1024;

/** A zip as bytes, or as a file of the staging folder that the caller sends and deletes. */
export type ZipToSend = ({ kind: 'bytes'; data: Uint8Array; release: () => void } | { kind: 'file'; path: string; bytes: number }) & {
  /** Files in it. */
  moved: { up: 0; down: number };
};

/**
 * A zip with a prefix of the files asked for, in their order, that ends once 2.5 MiB are passed: the client goes on by
 * count. The protocol cannot say that one file is missing, so any such file is a conflict, and the client starts over.
 */
export async function downloadFiles(media: UserMedia, names: string[]): Promise<ZipToSend> {
  if (names.length > MAX_FILES_IN_ZIP) throw new SyncError('MEDIA_TOO_MANY_FILES', `a zip may hold ${MAX_FILES_IN_ZIP} files`);
  const files = await findFiles(media, await prefixOf(media, names));
  const bytes = files.reduce((sum, file) => sum + file.bytes, 0);
  const changed: string[] = [];
  const moved = { up: 0, down: files.length } as const;
  if (bytes <= MAX_BYTES_IN_MEMORY) {
    const data = zipToBytes(files, ({ name, sha1 }, content) => {
      if (hash('sha1', content) !== sha1) changed.push(name);
    });
    await forget(media, [], changed);
    return { kind: 'bytes', data, moved, release: () => giveZipMemoryBack(data) };
  }
  for (const file of files) if (copyRange(file, null) !== file.sha1) changed.push(file.name);
  await forget(media, [], changed);
  const path = join(await media.files.stagingFolder(media.user), `download-${randomUUID()}.zip`);
  return { kind: 'file', path, bytes: await zipToFile(files, path), moved };
}

async function prefixOf({ store, user }: UserMedia, names: string[]): Promise<MediaEntry[]> {
  const known = new Map((await store.entries(user, names)).map((entry) => [entry.name, entry]));
  const prefix: MediaEntry[] = [];
  let bytes = 0;
  for (const name of names) {
    const entry = known.get(name);
    if (entry === undefined || entry.bytes === 0) throw missing(`not in the index: ${JSON.stringify(name)}`);
    prefix.push(entry);
    bytes += entry.bytes;
    if (bytes > TARGET_ZIP_BYTES) break;
  }
  return prefix;
}

async function findFiles(media: UserMedia, entries: MediaEntry[]): Promise<(FileToSend & { sha1: string })[]> {
  const { files, user } = media;
  const found: (FileToSend & { sha1: string })[] = [];
  const gone: string[] = [];
  const changed: string[] = [];
  for (const { name, sha1, bytes } of entries) {
    const file = await files.read(user, name, sha1);
    if (file === null) gone.push(name);
    else if (file.bytes !== bytes) changed.push(name);
    else found.push({ name, sha1, ...file });
  }
  await forget(media, gone, changed);
  return found;
}

/**
 * Files whose bytes are gone, torn, or replaced behind our back: sent on, they would spread, and no device would know that it
 * differs from the others. They are forgotten, so that the next try gets past them.
 */
async function forget(media: UserMedia, gone: string[], changed: string[]): Promise<void> {
  if (gone.length > 0) await requireFolder(media);
  if (gone.length + changed.length === 0) return;
  await media.store.forget(media.user, [...gone, ...changed]);
  throw missing(lossOf(gone, changed));
}

/** For the operator: nothing is forgotten in silence. A device that has the file sends it again, once it compares its media. */
function lossOf(gone: string[], changed: string[]): string {
  const told: string[] = [];
  if (gone.length > 0) told.push(`missing on the disk, and forgotten until a device sends them again: ${JSON.stringify(gone)}`);
  if (changed.length > 0) told.push(`changed on the disk, and forgotten until a device sends them again: ${JSON.stringify(changed)}`);
  return told.join('; ');
}

function missing(detail: string): SyncError {
  return new SyncError('MEDIA_FILE_MISSING', 'a media file is missing', { detail });
}

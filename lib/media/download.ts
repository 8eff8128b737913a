import { hash, randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { SyncError } from '../errors.ts';
import { copyRange } from '../storage/files/hashed-copy.ts';
import type { FileRange, MediaEntry } from '../storage/storage.ts';
import { MAX_FILES_IN_ZIP, TARGET_ZIP_BYTES } from './limits.ts';
import { requireFolder, type UserMedia } from './user-media.ts';
import { readRange, zipToBytes, zipToFile } from './zip.ts';

/** Most that is zipped in memory: all but the zips that end in a big file. */
const MAX_BYTES_IN_MEMORY = 4 * 1024 * 1024;

/** A zip as bytes, or as a file of the staging folder that the caller sends and deletes. */
export type ZipToSend = { kind: 'bytes'; data: Uint8Array } | { kind: 'file'; path: string; bytes: number };

/**
 * A zip with a prefix of the files asked for, in their order, that ends once 2.5 MiB are passed: the client goes on by
 * count. The protocol cannot say that one file is missing, so any such file is a conflict, and the client starts over.
 */
export async function downloadFiles(media: UserMedia, names: string[]): Promise<ZipToSend> {
  if (names.length > MAX_FILES_IN_ZIP) throw new SyncError('MEDIA_TOO_MANY_FILES', `a zip may hold ${MAX_FILES_IN_ZIP} files`);
  const entries = await prefixOf(media, names);
  const bytes = entries.reduce((sum, entry) => sum + entry.bytes, 0);
  if (bytes <= MAX_BYTES_IN_MEMORY) return { kind: 'bytes', data: zipToBytes(await findFiles(media, entries, readSound)) };
  const files = await findFiles(media, entries, (file, sha1) => (copyRange(file, null) === sha1 ? file : null));
  const path = join(await media.files.stagingFolder(media.user), `download-${randomUUID()}.zip`);
  return { kind: 'file', path, bytes: await zipToFile(files, path) };
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

/** The bytes of a file, or null when they are not those of the index. */
function readSound(file: FileRange, sha1: string): { content: Buffer } | null {
  const content = readRange(file);
  return hash('sha1', content) === sha1 ? { content } : null;
}

/**
 * What `take` makes of each file. Files whose bytes are gone, or are others by the word of `take`, are forgotten, so that the
 * next try gets past them.
 */
async function findFiles<T>(
  media: UserMedia,
  entries: MediaEntry[],
  take: (file: FileRange, sha1: string) => T | null,
): Promise<({ name: string } & T)[]> {
  const { store, files, user } = media;
  const found: ({ name: string } & T)[] = [];
  const gone: string[] = [];
  const changed: string[] = [];
  for (const { name, sha1, bytes } of entries) {
    const file = await files.read(user, name, sha1);
    if (file === null) {
      gone.push(name);
      continue;
    }
    // torn, or replaced behind our back: sent on, it would spread, and no device would know that it differs from the others
    const taken = file.bytes === bytes ? take(file, sha1) : null;
    if (taken === null) changed.push(name);
    else found.push({ name, ...taken });
  }
  if (gone.length > 0) await requireFolder(media);
  if (gone.length + changed.length > 0) {
    await store.forget(user, [...gone, ...changed]);
    throw missing(lossOf(gone, changed));
  }
  return found;
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

import { randomUUID } from 'node:crypto';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { SyncError } from '../errors.ts';
import type { MediaChange, MediaEntry } from '../storage/storage.ts';
import { MAX_FILES_IN_ZIP } from './limits.ts';
import { checkMediaName } from './media-name.ts';
import { requireFolder, settleMedia, settleWhenMuch, type UserMedia } from './user-media.ts';
import { UploadZip, type VerifiedFile } from './zip.ts';

/** One entry of an upload's `_meta`: a name, and the entry of the zip with its bytes, or null where the file was deleted. */
interface UploadedName {
  name: string;
  entryName: string | null;
}

/** The same, with its bytes, which lie in the zip or in a file unpacked from it. */
interface UploadedChange {
  name: string;
  file: VerifiedFile | null;
}

/**
 * Applies the zip at `zipPath`, in the staging folder, whole or not at all. Answers how many entries were processed, which
 * is all of them, and the usn after that: identical files and names already deleted do not raise it.
 * The zip may be taken away; the caller removes it if it is left, and calls `settleMedia` once the user is idle.
 */
export async function uploadChanges(media: UserMedia, zipPath: string): Promise<[processed: number, usn: number]> {
  const { store, files, user } = media;
  await requireFolder(media);
  await settleWhenMuch(media);
  const unpackedPath = join(await files.stagingFolder(user), `unpacked-${randomUUID()}`);
  try {
    const uploaded = await verify(zipPath, unpackedPath);
    const changes = decide(uploaded, await store.entries(user, uploaded.map(({ name }) => name)));
    if (changes.length === 0) return [uploaded.length, (await store.totals(user)).lastUsn];

    try {
      await files.stage(user, changes.flatMap(stagedFile));
      return [uploaded.length, await store.apply(user, changes.map(mediaChange))];
    } catch (error) {
      // drops what was staged in vain: a full disk should not stay full until the user is idle
      await settleMedia(media).catch(() => {});
      throw error;
    }
  } finally {
    // what a failing disk keeps is removed at the next start
    await rm(unpackedPath, { force: true }).catch(() => {});
  }
}

/** What the entries change, one after the other: a name may occur twice. */
function decide(uploaded: UploadedChange[], known: MediaEntry[]): UploadedChange[] {
  const current = new Map(known.map((entry) => [entry.name, entry.bytes === 0 ? null : entry.sha1]));
  return uploaded.filter(({ name, file }) => {
    const sha1 = file?.sha1 ?? null;
    if (sha1 === (current.get(name) ?? null)) return false;
    current.set(name, sha1);
    return true;
  });
}

function stagedFile({ name, file }: UploadedChange): ({ name: string } & VerifiedFile)[] {
  return file === null ? [] : [{ name, ...file }];
}

function mediaChange({ name, file }: UploadedChange): MediaChange {
  return file === null ? { name, deleted: true } : { name, sha1: file.sha1, bytes: file.bytes };
}

async function verify(zipPath: string, unpackedPath: string): Promise<UploadedChange[]> {
  const zip = await UploadZip.open(zipPath, unpackedPath);
  try {
    const uploaded: UploadedChange[] = [];
    for (const { name, entryName } of parseMeta(await zip.meta())) {
      uploaded.push({ name, file: entryName === null ? null : await zip.verify(entryName) });
    }
    return uploaded;
  } finally {
    zip.close();
  }
}

/** `[[name, entry], …]`; deletions have null, or an empty string in zips of AnkiDroid and clients before 2.1.28. */
function parseMeta(text: string): UploadedName[] {
  let meta: unknown;
  try {
    meta = JSON.parse(text);
  } catch (error) {
    throw new SyncError('MEDIA_ZIP_INVALID', '_meta is not JSON', { cause: error });
  }
  if (!Array.isArray(meta)) throw new SyncError('MEDIA_ZIP_INVALID', '_meta is not a list');
  if (meta.length > MAX_FILES_IN_ZIP) throw new SyncError('MEDIA_TOO_MANY_FILES', `a zip may hold ${MAX_FILES_IN_ZIP} files`);
  return meta.map((entry: unknown) => {
    if (!Array.isArray(entry) || entry.length !== 2) throw new SyncError('MEDIA_ZIP_INVALID', '_meta has an entry that is no pair');
    const [name, entryName] = entry as [unknown, unknown];
    if (typeof name !== 'string' || (typeof entryName !== 'string' && entryName !== null)) {
      throw new SyncError('MEDIA_ZIP_INVALID', '_meta has an entry of a wrong type');
    }
    checkMediaName(name);
    return { name, entryName: entryName || null };
  });
}

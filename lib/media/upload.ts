import { mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { SyncError } from '../errors.ts';
import type { MediaChange, MediaEntry } from '../storage/storage.ts';
import { MAX_FILES_IN_ZIP } from './limits.ts';
import { checkMediaName } from './media-name.ts';
import { settleInterrupted, type UserMedia } from './user-media.ts';
import { UploadZip } from './zip.ts';

/** One entry of an upload's `_meta`: a name, and the entry of the zip with its bytes, or null where the file was deleted. */
interface UploadedName {
  name: string;
  entryName: string | null;
}

/** The same, unpacked. */
interface UploadedChange {
  name: string;
  file: { path: string; sha1: string; bytes: number } | null;
}

/**
 * Applies the zip at `zipPath` whole or not at all; the file stays the caller's. Answers how many entries were processed,
 * which is all of them, and the usn after that: identical files and names already deleted do not raise it.
 */
export async function uploadChanges(media: UserMedia, zipPath: string): Promise<[processed: number, usn: number]> {
  const { store, files, user } = media;
  await settleInterrupted(media);
  await files.discardStaged(user);
  const folder = await mkdtemp(join(await files.stagingFolder(user), 'upload-'));
  try {
    const uploaded = await unpack(zipPath, folder);
    const changes = decide(uploaded, await store.entries(user, uploaded.map(({ name }) => name)));
    if (changes.length === 0) return [uploaded.length, (await store.totals(user)).lastUsn];

    const last = [...new Map(changes.map((change) => [change.name, change])).values()];
    await files.stage(user, last.flatMap(stagedFile));
    const usn = await store.apply(user, changes.map(({ path: _path, ...change }) => change));
    await files.settle(user, last);
    await store.settled(user);
    return [uploaded.length, usn];
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** A change of the index, and where its bytes lie. */
type PendingChange = MediaChange & { path?: string };

/** What the entries change, one after the other: a name may occur twice. */
function decide(uploaded: UploadedChange[], known: MediaEntry[]): PendingChange[] {
  const current = new Map(known.map((entry) => [entry.name, entry.bytes === 0 ? null : entry.sha1]));
  const changes: PendingChange[] = [];
  for (const { name, file } of uploaded) {
    const before = current.get(name) ?? null;
    if (before === (file?.sha1 ?? null)) continue;
    current.set(name, file?.sha1 ?? null);
    changes.push(file === null ? { name, deleted: true } : { name, ...file });
  }
  return changes;
}

function stagedFile(change: PendingChange): { name: string; sha1: string; path: string }[] {
  return change.deleted === true ? [] : [{ name: change.name, sha1: change.sha1, path: change.path! }];
}

async function unpack(zipPath: string, folder: string): Promise<UploadedChange[]> {
  const zip = await UploadZip.open(zipPath);
  try {
    const uploaded: UploadedChange[] = [];
    for (const [index, { name, entryName }] of parseMeta(await zip.meta()).entries()) {
      const path = join(folder, String(index));
      uploaded.push({ name, file: entryName === null ? null : { path, ...(await zip.extract(entryName, path)) } });
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

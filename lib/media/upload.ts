import { randomUUID } from 'node:crypto';
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { SyncError } from '../errors.ts';
import { quotaWords } from '../plain-words.ts';
import type { MediaChange, MediaEntry } from '../storage/storage.ts';
import { MAX_FILES_IN_ZIP, MAX_META_BYTES } from './limits.ts';
import { checkMediaName } from './media-name.ts';
import { type PlainFile, PlainZip } from './plain-zip.ts';
import { requireFolder, settleMedia, settleWhenMuch, type UserMedia } from './user-media.ts';
import { UploadZip, type VerifiedFile } from './zip.ts';

/** One entry of an upload's `_meta`: a name, and the entry of the zip with its bytes, or null where the file was deleted. */
interface UploadedName {
  name: string;
  entryName: string | null;
}

/** The same, with its bytes, which lie in the zip, as a file or in memory, or in a file unpacked from it. */
interface UploadedChange<File> {
  name: string;
  file: File | null;
}

type Answer = [processed: number, usn: number];

/**
 * Applies a zip whole or not at all: a file in the staging folder, or small ones as they came, in memory. Answers how many entries
 * were processed, and the usn after that: identical files and names already deleted do not raise it. Where a quota allows no more, those
 * before it are applied, as if the zip ended there: the client sends the others again, and is refused in words.
 * A file may be taken away; the caller removes it if it is left, and calls `settleMedia` once the user is idle.
 */
export async function uploadChanges(media: UserMedia, zip: string | Uint8Array): Promise<Answer> {
  await requireFolder(media);
  await settleWhenMuch(media);
  if (typeof zip === 'string') return uploadFile(media, zip);
  return (await uploadBytes(media, zip)) ?? uploadAsFile(media, zip);
}

async function uploadFile(media: UserMedia, zipPath: string): Promise<Answer> {
  const { files, user } = media;
  const unpackedPath = join(await files.stagingFolder(user), `unpacked-${randomUUID()}`);
  try {
    const uploaded = await verify(zipPath, unpackedPath);
    return await take(media, uploaded, (changed) => files.stage(user, changed));
  } finally {
    // what a failing disk keeps is removed at the next start
    await rm(unpackedPath, { force: true }).catch(() => {});
  }
}

/** Undefined where it takes a file: the zip is not plain, or the store wants one. */
async function uploadBytes(media: UserMedia, bytes: Uint8Array): Promise<Answer | undefined> {
  const { files, user } = media;
  const uploaded = files.stageBytes === undefined ? undefined : verifyPlain(bytes);
  return uploaded && take(media, uploaded, (changed) => files.stageBytes!(user, bytes, changed));
}

async function uploadAsFile(media: UserMedia, bytes: Uint8Array): Promise<Answer> {
  const path = join(await media.files.stagingFolder(media.user), `media-${randomUUID()}.zip`);
  try {
    await writeFile(path, bytes, { flag: 'wx' });
    return await uploadFile(media, path);
  } finally {
    await rm(path, { force: true }).catch(() => {});
  }
}

/** Keeps the bytes first, then changes the index. */
async function take<File extends { sha1: string; bytes: number }>(
  { store, files, user, maxTotalBytes }: UserMedia,
  uploaded: UploadedChange<File>[],
  stage: (changed: ({ name: string } & File)[]) => Promise<void>,
): Promise<Answer> {
  const known = await store.entries(user, uploaded.map(({ name }) => name));
  const taken = maxTotalBytes === undefined ? uploaded : whatFits(uploaded, known, (await store.totals(user)).totalBytes, maxTotalBytes);
  const changes = decide(taken, known);
  if (changes.length === 0) return [taken.length, (await store.totals(user)).lastUsn];
  try {
    await stage(changes.flatMap(stagedFile));
    return [taken.length, await store.apply(user, changes.map(mediaChange))];
  } catch (error) {
    // drops what was staged in vain: a full disk should not stay full until the user is idle
    await settleMedia({ store, files, user }).catch(() => {});
    throw error;
  }
}

/**
 * The longest beginning of an upload that a quota allows. Deletions pass, and whatever makes it less: how else would it become so?
 * Clients send names in their order, and count how many were processed from the first one on: none can be left out in between.
 */
function whatFits<File extends { bytes: number }>(uploaded: UploadedChange<File>[], known: MediaEntry[], before: number, most: number): UploadedChange<File>[] {
  const sizes = new Map(known.map(({ name, bytes }) => [name, bytes]));
  let more = 0;
  let fitting = 0;
  for (const [index, { name, file }] of uploaded.entries()) {
    more += (file?.bytes ?? 0) - (sizes.get(name) ?? 0);
    sizes.set(name, file?.bytes ?? 0);
    if (more <= 0 || before + more <= most) fitting = index + 1;
  }
  if (fitting === 0 && uploaded.length > 0) {
    throw new SyncError('QUOTA_EXCEEDED', quotaWords('media', before + more, most), { detail: `media of ${before + more} bytes; ${most} are allowed` });
  }
  return uploaded.slice(0, fitting);
}

/** What the entries change, one after the other: a name may occur twice. */
function decide<File extends { sha1: string }>(uploaded: UploadedChange<File>[], known: MediaEntry[]): UploadedChange<File>[] {
  const current = new Map(known.map((entry) => [entry.name, entry.bytes === 0 ? null : entry.sha1]));
  return uploaded.filter(({ name, file }) => {
    const sha1 = file?.sha1 ?? null;
    if (sha1 === (current.get(name) ?? null)) return false;
    current.set(name, sha1);
    return true;
  });
}

function stagedFile<File>({ name, file }: UploadedChange<File>): ({ name: string } & File)[] {
  return file === null ? [] : [{ name, ...file }];
}

function mediaChange<File extends { sha1: string; bytes: number }>({ name, file }: UploadedChange<File>): MediaChange {
  return file === null ? { name, deleted: true } : { name, sha1: file.sha1, bytes: file.bytes };
}

async function verify(zipPath: string, unpackedPath: string): Promise<UploadedChange<VerifiedFile>[]> {
  const zip = await UploadZip.open(zipPath, unpackedPath);
  try {
    const uploaded: UploadedChange<VerifiedFile>[] = [];
    for (const { name, entryName } of parseMeta(await zip.meta())) {
      uploaded.push({ name, file: entryName === null ? null : await zip.verify(entryName) });
    }
    return uploaded;
  } finally {
    zip.close();
  }
}

/** Undefined of a zip that is not plain, or damaged. */
function verifyPlain(bytes: Uint8Array): UploadedChange<PlainFile>[] | undefined {
  const zip = PlainZip.of(bytes);
  const meta = zip?.text('_meta', MAX_META_BYTES);
  if (zip === undefined || meta === undefined) return undefined;
  const uploaded: UploadedChange<PlainFile>[] = [];
  for (const { name, entryName } of parseMeta(meta)) {
    const file = entryName === null ? null : zip.file(entryName);
    if (file === undefined) return undefined;
    uploaded.push({ name, file });
  }
  return uploaded;
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

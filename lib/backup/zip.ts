/** A backup as one file. Media are stored as they are, since they are packed already. */
import { createHash } from 'node:crypto';
import { createWriteStream, mkdirSync, renameSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { Readable, Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import yauzl from 'yauzl';
import yazl from 'yazl';
import { syncFile } from '../storage/files/durable.ts';
import { BackupError, MANIFEST, parseManifest, type Manifest } from './manifest.ts';

/** Writes beside `to`, reads all of it again, and renames. */
export async function writeZip(folder: string, manifest: Manifest, to: string): Promise<void> {
  const partial = `${folder}.zip`;
  try {
    const zip = new yazl.ZipFile();
    for (const path of [MANIFEST, ...Object.keys(manifest.files)]) zip.addFile(join(folder, path), path, { compress: !/media\//.test(path) });
    zip.end();
    await pipeline(zip.outputStream as Readable, createWriteStream(partial, { flags: 'wx', mode: 0o600 }));
    await eachFile(partial, async (path, stream) => {
      await pipeline(stream, checked(path, manifest), async (chunks) => {
        for await (const _chunk of chunks);
      });
    });
    syncFile(partial);
    renameSync(partial, to);
  } finally {
    rmSync(partial, { force: true });
  }
}

/** Unpacks into an empty folder what of the users is wanted; every file is checked against the manifest. @throws BackupError */
export async function unpackZip(path: string, to: string, isWanted: (folder: string, manifest: Manifest) => boolean): Promise<Manifest> {
  let manifest: Manifest | undefined;
  await eachFile(path, async (name, stream) => {
    if (name === MANIFEST) {
      const chunks: Buffer[] = [];
      for await (const chunk of stream) chunks.push(chunk as Buffer);
      manifest = parseManifest(Buffer.concat(chunks).toString());
      return;
    }
    // the first entry of ours; an entry that the manifest does not name is not ours, and its name is no path to trust
    if (manifest === undefined || !Object.hasOwn(manifest.files, name)) throw new BackupError(`${path} is no backup: the file ${JSON.stringify(name)} is not in its ${MANIFEST}`);
    const folder = name.split('/', 1)[0]!;
    if (!name.startsWith('.anki-sync/') && !isWanted(folder, manifest)) {
      stream.resume();
      return;
    }
    mkdirSync(dirname(join(to, name)), { recursive: true });
    await pipeline(stream, checked(name, manifest), createWriteStream(join(to, name), { flags: 'wx' }));
  });
  if (manifest === undefined) throw new BackupError(`${path} is no backup: it has no ${MANIFEST}`);
  return manifest;
}

/** Passes the bytes on, and fails at the end where they are not those of the manifest. */
function checked(path: string, manifest: Manifest): Transform {
  const expected = manifest.files[path];
  const digest = createHash(expected?.sha1 === undefined ? 'sha256' : 'sha1');
  return new Transform({
    transform(chunk: Buffer, _encoding, done) {
      digest.update(chunk);
      done(null, chunk);
    },
    flush(done) {
      const wrong = expected !== undefined && digest.digest('hex') !== (expected.sha1 ?? expected.sha256);
      done(wrong ? new BackupError(`the file ${JSON.stringify(path)} in the backup is damaged`) : null);
    },
  });
}

async function eachFile(path: string, use: (name: string, stream: Readable) => Promise<void>): Promise<void> {
  const zip = await yauzl.openPromise(path, { lazyEntries: true, autoClose: false }).catch((error: unknown) => {
    throw new BackupError(`${path} cannot be opened as a zip file (${(error as Error).message})`);
  });
  try {
    for await (const entry of zip.eachEntry()) await use(entry.fileName, await zip.openReadStreamPromise(entry));
  } finally {
    zip.close();
  }
}

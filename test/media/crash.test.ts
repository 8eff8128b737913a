/** A process that is killed between any two operations leaves a user's media as before the upload, or as after it. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { hash } from 'node:crypto';
import { cp, mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { uploadChanges } from '../../lib/media/upload.ts';
import { settleMedia, type UserMedia } from '../../lib/media/user-media.ts';
import { FolderMediaFiles } from '../../lib/storage/files/folder.ts';
import { SqliteMediaStore } from '../../lib/storage/sqlite/media.ts';
import { readZip } from './read-zip.ts';
import { uploadZip } from './raw-zip.ts';
import { ada, download, put, upload } from './user-media.ts';

const CHILD = fileURLToPath(new URL('crash-child.ts', import.meta.url));
const BEFORE = { kept: 'kept', replaced: 'old', deleted: 'deleted' };
const AFTER = { kept: 'kept', replaced: 'new', added: 'added', 'added too': 'added too' };
const CHANGES: [string, string | null][] = [
  ['added', 'added'],
  ['replaced', 'new'],
  ['deleted', null],
  ['kept', 'kept'],
  ['added too', 'added too'],
];

/** The operation at which the child was killed, or null if it came to its end. */
function runChild(...args: string[]): Promise<string | null> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [CHILD, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
    const printed = { stdout: '', stderr: '' };
    for (const name of ['stdout', 'stderr'] as const) child[name].setEncoding('utf8').on('data', (text: string) => (printed[name] += text));
    child.on('error', reject);
    child.on('close', (code, signal) => {
      if (code === 0) resolve(null);
      else if (signal === 'SIGKILL') resolve(printed.stdout);
      else reject(new Error(printed.stderr));
    });
  });
}

async function open(base: string, body: (media: UserMedia) => Promise<void>): Promise<void> {
  const media = { store: new SqliteMediaStore({ base }), files: new FolderMediaFiles({ base }), user: ada };
  try {
    await body(media);
  } finally {
    await media.store.close();
    await media.files.close();
  }
}

async function indexOf(media: UserMedia): Promise<Record<string, string>> {
  const entries = await media.store.changesAfter(ada, 0, 1000);
  return Object.fromEntries(entries.filter(({ bytes }) => bytes > 0).map(({ name, sha1 }) => [name, sha1]));
}

function sha1sOf(contents: Record<string, string>): Record<string, string> {
  return Object.fromEntries(Object.entries(contents).map(([name, content]) => [name, hash('sha1', content)]));
}

async function folderOf(base: string): Promise<Record<string, string>> {
  const folder = join(base, 'ada', 'media');
  return Object.fromEntries(await Promise.all((await readdir(folder)).map(async (name) => [name, await readFile(join(folder, name), 'utf8')])));
}

/** Index, files and what is served agree, and are one of the two states. */
async function expectWhole(base: string, killedAt: string): Promise<void> {
  await open(base, async (media) => {
    const index = await indexOf(media);
    const isAfter = 'added' in index;
    const expected: Record<string, string> = isAfter ? AFTER : BEFORE;
    assert.deepEqual(index, sha1sOf(expected), killedAt);
    assert.deepEqual(await media.store.totals(ada), {
      lastUsn: isAfter ? 8 : 4,
      fileCount: Object.keys(expected).length,
      totalBytes: Object.values(expected).join('').length,
    });
    const names = Object.keys(expected);
    const zip = await readZip(await download(media, names));
    assert.deepEqual(names.map((name) => zip.contents[name]!.toString()), Object.values(expected), killedAt);
    await settleMedia(media);
    assert.deepEqual(await folderOf(base), expected, killedAt);
    assert.deepEqual(await media.store.unsettled(ada), [], killedAt);
  });
}

/** The client, which got no answer, sends the same again. */
async function expectRetry(base: string, killedAt: string): Promise<void> {
  await open(base, async (media) => {
    assert.deepEqual(await upload(media, uploadZip(CHANGES)), [5, 8], killedAt);
    assert.deepEqual(await folderOf(base), AFTER, killedAt);
    assert.deepEqual(await readdir(join(base, 'ada', '.anki-sync-media', 'staged')), [], killedAt);
  });
}

describe('a process that is killed', () => {
  let folder: string;
  let zip: string;
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'media-crash-'));
    zip = join(folder, 'upload.zip');
    await open(join(folder, 'start'), async (media) => {
      await put(media, ['kept', 'kept'], ['replaced', 'oldest'], ['deleted', 'deleted']);
      // and an upload that is not settled yet
      await writeFile(zip, uploadZip([['replaced', 'old']]));
      await uploadChanges(media, zip);
    });
    await writeFile(zip, uploadZip(CHANGES));
  });
  after(() => rm(folder, { recursive: true, force: true }));

  it('at any operation of an upload leaves all of it or nothing, and the client can go on', async () => {
    const killedAt: string[] = [];
    for (let n = 1; ; n++) {
      const base = join(folder, `upload ${n}`);
      await cp(join(folder, 'start'), base, { recursive: true });
      const operation = await runChild(base, String(n), 'upload', zip);
      await expectWhole(base, operation ?? 'the end');
      await expectRetry(base, operation ?? 'the end');
      if (operation === null) break;
      killedAt.push(operation.replace(/[0-9a-f-]{36}/, '<id>'));
    }
    assert.deepEqual(killedAt, [
      ...['stage <id>-0.pack', 'sync packs 1', 'sync staged ', 'before apply', 'after apply'],
      ...['write added', 'write replaced', 'write added too', 'sync files 3'],
      ...['replace added', 'replace replaced', 'remove deleted', 'replace added too', 'sync media ', 'before settled', 'after settled'],
      ...['discard <id>.json', 'discard <id>.json', 'discard <id>-0.pack', 'discard <id>-0.pack'],
    ]);
  });

  it('again while it brings the files to what the index says leaves all of it', async () => {
    for (let n = 1; ; n++) {
      const base = join(folder, `replay ${n}`);
      await cp(join(folder, 'start'), base, { recursive: true });
      assert.equal(await runChild(base, '5', 'upload', zip), 'after apply');
      const operation = await runChild(base, String(n), 'settle');
      await expectWhole(base, operation ?? 'the end');
      await expectRetry(base, operation ?? 'the end');
      if (operation !== null) continue;
      assert.equal(n, 16, 'the number of operations that were tried');
      break;
    }
  });
});

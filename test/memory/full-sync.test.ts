import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { createZstdDecompress } from 'node:zlib';
import { piecesOf, writeCollection } from '../engine/collections.ts';
import { peakBytes, serverProcess } from '../engine/server-process.ts';

const MIB = 1024 * 1024;

/** The most memory the server's process held while one collection came in and went out again. */
async function peakOf(folder: string, megs: number): Promise<number> {
  const path = join(folder, `${megs}.anki2`);
  writeCollection(path, megs * MIB);
  await using server = await serverProcess(join(folder, `base${megs}`));
  const ada = await server.user('ada');
  const uploaded = await ada.post('upload', piecesOf(path));
  assert.equal(uploaded.text(), 'OK');
  const download = await ada.sendUnread('POST', 'sync/download', {});
  let bytes = 0;
  const hash = createHash('sha1');
  for await (const piece of download.pipe(createZstdDecompress())) {
    bytes += (piece as Buffer).length;
    hash.update(piece as Buffer);
  }
  assert.equal(bytes, Number(download.headers['anki-original-size']));
  assert.ok(bytes >= megs * MIB && bytes >= (await stat(path)).size * 0.9);
  return peakBytes(server.pid);
}

test('a collection of 400 MB takes at most 40 MiB more memory than one of 4 MB, up and down', { skip: process.platform !== 'linux' }, async () => {
  const folder = await mkdtemp(join(tmpdir(), 'anki-sync-memory-'));
  try {
    const small = await peakOf(folder, 4);
    const large = await peakOf(folder, 400);
    const more = `${Math.round(large / MIB)} MiB after ${Math.round(small / MIB)} MiB`;
    assert.ok(large - small <= 40 * MIB, more);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});

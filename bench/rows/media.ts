/** Media: many middling files up and down, many tiny ones up, and the list of them. */
import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { uploadZip } from '../../test/media/raw-zip.ts';
import { inTurn, withServers, type Run } from '../run.ts';
import type { ServerProcess } from '../server-process.ts';
import { Connection, jsonOf, requestOf } from '../wire.ts';

const FILE_BYTES = 100 * 1024;
/** What a client sends and asks for at a time. */
const FILES_A_ZIP = 25;
const QUIET_MILLIS = 3_000;
const LOOK_MILLIS = 200;

export async function media(run: Run): Promise<void> {
  const fileCount = run.quick ? 100 : 500;
  const tinyCount = run.quick ? 4_000 : 20_000;
  const times = run.quick ? 2 : 3;
  const files = Array.from({ length: fileCount }, (_, i): [string, Buffer] => [`file-${i}.jpg`, randomBytes(FILE_BYTES)]);
  const tiny = Array.from({ length: tinyCount }, (_, i): [string, Buffer] => [`tiny-${i}.svg`, Buffer.from(`<svg id="${i}"/>`)]);
  const names = [...Array.from({ length: times }, (_, i) => `files${i}`), ...Array.from({ length: times }, (_, i) => `tiny${i}`)];

  await withServers(run, 'media', names, async (users) => {
    run.say(`${fileCount} media files of 100 KiB up and down`);
    await inTurn(run, times, async (server, time) => {
      const user = users.get(server)![time]!;
      const zips = inGroups(files, FILES_A_ZIP).map((group) => requestOf('/msync/uploadChanges', user.key, 'bench', uploadZip(group)));
      const asks = inGroups(files, FILES_A_ZIP).map((group) => requestOf('/msync/downloadFiles', user.key, 'bench', { files: group.map(([name]) => name) }));
      const cpuBefore = server.cpuMillis();
      run.figures.add('media files up', 'per second', server, (fileCount * 1000) / (await inOrder(server.port, zips)));
      await untilQuiet(server);
      run.figures.add('1000 media files up, all work behind it included: CPU', 'ms', server, ((server.cpuMillis() - cpuBefore) * 1000) / fileCount);
      run.figures.add('media files down', 'per second', server, (fileCount * 1000) / (await inOrder(server.port, asks)));
    });

    run.say(`${tinyCount} tiny media files up, and the list of them`);
    await inTurn(run, times, async (server, time) => {
      const user = users.get(server)![times + time]!;
      const zips = inGroups(tiny, FILES_A_ZIP).map((group) => requestOf('/msync/uploadChanges', user.key, 'bench', uploadZip(group)));
      const cpuBefore = server.cpuMillis();
      run.figures.add('tiny media files up', 'per second', server, (tinyCount * 1000) / (await inOrder(server.port, zips)));
      await untilQuiet(server);
      run.figures.add('1000 tiny media files up, all work behind it included: CPU', 'ms', server, ((server.cpuMillis() - cpuBefore) * 1000) / tinyCount);
      const connection = await Connection.open(server.port);
      const begun = performance.now();
      let listed = 0;
      for (;;) {
        const changes = jsonOf(await connection.call(requestOf('/msync/mediaChanges', user.key, 'bench', { lastUsn: listed }))).data as unknown[];
        if (changes.length === 0) break;
        listed += changes.length;
      }
      run.figures.add(`list of ${tinyCount} media files`, 'ms', server, performance.now() - begun);
      connection.close();
      if (listed !== tinyCount) throw new Error(`${listed} files listed, expected ${tinyCount}`);
    });
  });
}

/**
 * What a server puts off until its client is idle is no part of an answer, but must not be counted for what comes next, or for the other
 * server. So each is left alone until it has done no work for longer than it waits for its client.
 */
async function untilQuiet(server: ServerProcess): Promise<void> {
  for (let quietMillis = 0, cpuMillis = server.cpuMillis(); quietMillis < QUIET_MILLIS; ) {
    await sleep(LOOK_MILLIS);
    const now = server.cpuMillis();
    // Linux counts in hundredths of a second, and nobody does nothing at all
    quietMillis = now - cpuMillis <= LOOK_MILLIS / 20 ? quietMillis + LOOK_MILLIS : 0;
    cpuMillis = now;
  }
}

/** Milliseconds for all of them, one after the other on one connection. */
async function inOrder(port: number, requests: readonly Buffer[]): Promise<number> {
  const connection = await Connection.open(port);
  const begun = performance.now();
  for (const request of requests) {
    const { status } = await connection.call(request);
    if (status !== 200) throw new Error(`a media request was answered ${status}`);
  }
  const millis = performance.now() - begun;
  connection.close();
  return millis;
}

function inGroups<T>(all: readonly T[], size: number): T[][] {
  return Array.from({ length: Math.ceil(all.length / size) }, (_, i) => all.slice(i * size, (i + 1) * size));
}

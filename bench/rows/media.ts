/** Media: many middling files up and down, many tiny ones up, and the list of them. */
import { randomBytes } from 'node:crypto';
import { uploadZip } from '../../test/media/raw-zip.ts';
import { inTurn, withServers, type Run } from '../run.ts';
import { Connection, jsonOf, requestOf } from '../wire.ts';

const FILE_BYTES = 100 * 1024;
/** What a client sends and asks for at a time. */
const FILES_A_ZIP = 25;

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
      run.figures.add('media files up', 'per second', server, (fileCount * 1000) / (await inOrder(server.port, zips)));
      run.figures.add('media files down', 'per second', server, (fileCount * 1000) / (await inOrder(server.port, asks)));
    });

    run.say(`${tinyCount} tiny media files up, and the list of them`);
    await inTurn(run, times, async (server, time) => {
      const user = users.get(server)![times + time]!;
      const zips = inGroups(tiny, FILES_A_ZIP).map((group) => requestOf('/msync/uploadChanges', user.key, 'bench', uploadZip(group)));
      run.figures.add('tiny media files up', 'per second', server, (tinyCount * 1000) / (await inOrder(server.port, zips)));
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

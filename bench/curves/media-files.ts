/** What 25 more media files cost a user who has ever more of them. */
import { uploadZip } from '../../test/media/raw-zip.ts';
import { median } from '../figures.ts';
import type { ServerProcess } from '../server-process.ts';
import { User } from '../user.ts';
import { Connection, jsonOf, requestOf } from '../wire.ts';
import type { Curve, Point } from './curve.ts';

const FILES_A_ZIP = 25;
const MEASURED_ZIPS = 20;

export async function mediaFilesCurve(server: ServerProcess, sizes: readonly number[], say: (text: string) => void): Promise<Curve> {
  const user = new User('ada', server.port);
  await server.start('media-files', [user]);
  await user.signIn();
  const points: Point[] = [];
  let files = 0;
  const connection = await Connection.open(server.port);
  const call = async (method: string, body: unknown): Promise<unknown> => {
    const answer = await connection.call(requestOf(`/msync/${method}`, user.key, 'bench', body));
    if (answer.status !== 200) throw new Error(`${method} answered ${answer.status}`);
    return jsonOf(answer).data;
  };
  const moreFiles = async (): Promise<number> => {
    const zip = uploadZip(Array.from({ length: FILES_A_ZIP }, (): [string, string] => [`file-${++files}.svg`, `<svg id="${files}"/>`]));
    const begun = performance.now();
    await call('uploadChanges', zip);
    return performance.now() - begun;
  };
  for (const size of sizes) {
    say(`${size} media files`);
    while (files < size) await moreFiles();
    server.resetPeak();
    const waits: number[] = [];
    for (let i = 0; i < MEASURED_ZIPS; i++) waits.push(await moreFiles());
    const begun = performance.now();
    let listed = 0;
    for (;;) {
      const page = (await call('mediaChanges', { lastUsn: listed })) as unknown[];
      if (page.length === 0) break;
      listed += page.length;
    }
    const listMillis = performance.now() - begun;
    const last = performance.now();
    await call('mediaChanges', { lastUsn: files });
    points.push({
      size,
      costs: {
        'ms a zip of 25': median(waits),
        'ms for nothing new': performance.now() - last,
        'whole list, ms': listMillis,
        'peak memory, MiB': server.peakMiB(),
      },
    });
  }
  connection.close();
  await server.stop();
  return { title: 'Media files of a user', of: 'files', points };
}

/**
 * `npm run bench [-- --quick] [--only full-sync,one-user,many-users,media,logins] [--server 'command'] [--alone] [--json file]`:
 * measures this server beside the official one, which it installs, and prints a table. Both run at the same time and are asked in turn;
 * absolute times say more about the machine than about the servers, so the last column counts.
 * `--server` measures another command, started with the official server's environment; `--alone` leaves the official server out.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { keptCollections } from '../bench/collections.ts';
import { Figures } from '../bench/figures.ts';
import { fullSync } from '../bench/rows/full-sync.ts';
import { logins } from '../bench/rows/logins.ts';
import { manyUsers } from '../bench/rows/many-users.ts';
import { media } from '../bench/rows/media.ts';
import { oneUser } from '../bench/rows/one-user.ts';
import type { Run } from '../bench/run.ts';
import { assertMeasurable, ServerProcess } from '../bench/server-process.ts';
import { ANKI_VERSION, ankiPython } from '../test/oracle/anki-python.ts';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const PARTS = { 'full-sync': fullSync, 'one-user': oneUser, 'many-users': manyUsers, media, logins };
const FIRST_PORT = 27_710;

const { values } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    alone: { type: 'boolean', default: false },
    only: { type: 'string', default: Object.keys(PARTS).join(',') },
    server: { type: 'string' },
    json: { type: 'string' },
  },
});
assertMeasurable();
const say = (text: string): void => console.error(`${new Date().toTimeString().slice(0, 8)} ${text}`);
const wanted = values.only.split(',');
for (const part of wanted) if (!Object.hasOwn(PARTS, part)) throw new Error(`no part is called ${part}: ${Object.keys(PARTS).join(', ')}`);

const scratch = mkdtempSync(join(tmpdir(), 'anki-sync-bench-'));
try {
  const ours = values.server?.split(' ') ?? [process.execPath, join(ROOT, 'dist/lib/bin.js'), 'serve'];
  const servers = [new ServerProcess('ours', ours, FIRST_PORT, scratch)];
  if (!values.alone) servers.push(new ServerProcess('official', [await ankiPython(), '-m', 'anki.syncserver'], FIRST_PORT + 1, scratch));
  const run: Run = {
    servers,
    figures: new Figures(),
    collections: await keptCollections(values.quick ? ['S', 'T', 'M'] : ['S', 'T', 'M', 'L'], say),
    quick: values.quick,
    say,
  };
  for (const part of wanted) await PARTS[part as keyof typeof PARTS](run);
  const [processor] = cpus();
  console.log(`${processor?.model ?? 'unknown processor'}, ${cpus().length} cores, Node.js ${process.versions.node}, official server ${ANKI_VERSION}\n`);
  console.log(run.figures.table(servers));
  if (values.json !== undefined) writeFileSync(values.json, JSON.stringify(run.figures.asJson(), null, 1));
} finally {
  rmSync(scratch, { recursive: true, force: true });
}

/**
 * `npm run bench:curves [-- --quick] [--only users,notes,decks,load,media-files] [--server 'command']`: how the cost of a sync grows with users,
 * notes, decks, syncs at once and media files. Prints a table each, with the slope on log-log axes as its last line.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { decksCurve, notesCurve } from '../bench/curves/collection.ts';
import { curveTable, type Curve } from '../bench/curves/curve.ts';
import { loadCurve } from '../bench/curves/load.ts';
import { mediaFilesCurve } from '../bench/curves/media-files.ts';
import { usersCurve } from '../bench/curves/users.ts';
import { assertMeasurable, ServerProcess } from '../bench/server-process.ts';

type Measure = (server: ServerProcess, sizes: readonly number[], say: (text: string) => void) => Promise<Curve>;

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const PORT = 27_720;
const CURVES: Record<string, { measure: Measure; sizes: readonly number[]; quick: readonly number[] }> = {
  users: { measure: usersCurve, sizes: [10, 100, 1_000, 10_000], quick: [10, 100, 500] },
  notes: { measure: notesCurve, sizes: [1_000, 10_000, 100_000, 1_000_000], quick: [1_000, 10_000] },
  decks: { measure: decksCurve, sizes: [10, 100, 1_000, 5_000], quick: [10, 100] },
  load: { measure: loadCurve, sizes: [1, 4, 16, 64, 200], quick: [1, 8, 32] },
  'media-files': { measure: mediaFilesCurve, sizes: [100, 1_000, 10_000, 100_000], quick: [100, 1_000] },
};

const { values } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    only: { type: 'string', default: Object.keys(CURVES).join(',') },
    server: { type: 'string' },
  },
});
assertMeasurable();
const say = (text: string): void => console.error(`${new Date().toTimeString().slice(0, 8)} ${text}`);
const scratch = mkdtempSync(join(tmpdir(), 'anki-sync-bench-'));
try {
  for (const name of values.only.split(',')) {
    const curve = CURVES[name];
    if (!curve) throw new Error(`no curve is called ${name}: ${Object.keys(CURVES).join(', ')}`);
    const server = new ServerProcess(name, values.server?.split(' ') ?? [process.execPath, join(ROOT, 'dist/lib/bin.js'), 'serve'], PORT, scratch);
    console.log(`${curveTable(await curve.measure(server, values.quick ? curve.quick : curve.sizes, say))}\n`);
    rmSync(server.scratch, { recursive: true, force: true });
  }
} finally {
  rmSync(scratch, { recursive: true, force: true });
}

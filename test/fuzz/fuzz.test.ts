/** Requests that are wrong in every way. More of them, one alone, and what it takes to find a bug: `npm run fuzz`. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { plantedCopy } from '../oracle/random/plants.ts';
import { caseAt, caseText } from './cases.ts';
import { emptyCells, fuzz, type FuzzReport } from './fuzzer.ts';
import { checkPlants, PLANTS } from './plants.ts';
import { RealClient } from './real-client.ts';

const SEED = 20_261_121;
const REQUESTS = 20_000;

describe('requests that are wrong in every way', () => {
  it('a seed makes the same requests each time, and another seed others', () => {
    const texts = (seed: number): string[] => Array.from({ length: 200 }, (_, index) => caseText(caseAt(seed, index)).replace(/^\d+:/, ''));
    assert.deepEqual(texts(7), texts(7));
    assert.notDeepEqual(texts(7), texts(8));
  });

  it(`${REQUESTS} of them, in each state of a sync, harm nobody`, { timeout: 900_000 }, async (context) => {
    const person = await RealClient.start();
    let report: FuzzReport;
    try {
      report = await fuzz({ seed: SEED, requests: REQUESTS, meanwhile: (target) => person.sync(target) });
    } finally {
      await person.end();
    }
    context.diagnostic(summary(report));
    assert.deepEqual(report.failures.map(({ text }) => text), [], `\`npm run fuzz -- --seed ${SEED} --only <number>\` sends one of them again`);

    // they did not stop at the door, and a method was reached in each state
    assert.deepEqual(emptyCells(report), []);
    assert.ok(report.inside > REQUESTS / 2, `${report.inside} of ${report.sent} with a valid key`);
    for (const status of [200, 400, 403, 409]) assert.ok((report.statuses.get(status) ?? 0) > REQUESTS / 100, `${status}: ${report.statuses.get(status) ?? 0}`);
    assert.ok(report.resets < REQUESTS / 100, `${report.resets} collections could not be synced any more`);
    assert.ok(person.syncs >= 5, `${person.syncs} syncs of a real client`);
  });

  it('each bug that can be planted still has its place in the sources', () => checkPlants());

  it('a planted bug is found', { timeout: 200_000 }, async () => {
    const copy = await plantedCopy(PLANTS[0]!);
    try {
      const report = await fuzz({ seed: SEED, requests: 2_000, root: copy.root, maxFailures: 1 });
      assert.match(report.failures[0]?.text ?? 'nothing was found', /a step of the sync that should have ended is answered 200/);
    } finally {
      await copy.remove();
    }
  });
});

function summary(report: FuzzReport): string {
  const { sent, setup, inside, cells, statuses, held, millis } = report;
  const counts = [...statuses].sort(([a], [b]) => a - b).map(([status, count]) => `${status}: ${count}`).join(', ');
  const mib = (bytes: number): string => `${(bytes / 2 ** 20).toFixed(0)} MiB`;
  const grown = held === undefined ? '' : `; from the first quarter on heap ${mib(held.quarter.heapBytes)} to ${mib(held.end.heapBytes)}, resident ${mib(held.quarter.residentBytes)} to ${mib(held.end.residentBytes)}, `
    + `handles ${held.quarter.handles} to ${held.end.handles}`;
  return `${sent} requests and ${setup} valid ones in between, ${inside} with a valid key, at least ${Math.min(...cells.values())} in each of ${cells.size} cells; ${counts}${grown}; ${(millis / 1000).toFixed(0)} s`;
}

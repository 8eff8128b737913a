/**
 * `npm run fuzz -- [--seed N] [--requests N] [--root folder]`: requests that are wrong in every way, 20,000 from a random seed unless told.
 * `npm run fuzz -- --seed N --only N[-N] [--shrink]`: one of them again, alone, or some in a row; `--shrink` leaves out what does not matter.
 * `npm run fuzz -- --plant [N | all] [--seed N] [--requests N]`: proof that bugs are found: plants bug N, or each in turn, in a copy of the server.
 * Exit code 1 if anything is wrong, or a planted bug is not found. See docs/testing.md.
 */
import { parseArgs } from 'node:util';
import { caseAt, caseText, type FuzzCase } from '../test/fuzz/cases.ts';
import { emptyCells, fuzz, type FuzzReport } from '../test/fuzz/fuzzer.ts';
import { PLANTS } from '../test/fuzz/plants.ts';
import { RealClient } from '../test/fuzz/real-client.ts';
import { plantedCopy } from '../test/oracle/random/plants.ts';

const { values } = parseArgs({
  options: {
    seed: { type: 'string' },
    requests: { type: 'string' },
    only: { type: 'string' },
    shrink: { type: 'boolean', default: false },
    plant: { type: 'string' },
    root: { type: 'string' },
  },
});
const seed = wholeNumber('seed', values.seed, Math.floor(Math.random() * 1_000_000));
const root = values.root === undefined ? {} : { root: values.root };

process.exitCode = await (values.plant !== undefined ? findPlants() : values.only !== undefined ? again(values.only) : sendAll());

function wholeNumber(name: string, text: string | undefined, otherwise: number): number {
  if (text === undefined) return otherwise;
  if (!/^\d{1,9}$/.test(text)) throw new Error(`--${name} takes a whole number, not "${text}"`);
  return Number(text);
}

async function sendAll(): Promise<number> {
  const person = await RealClient.start();
  let report: FuzzReport;
  try {
    const progress = (sent: number): void => console.log(`${sent} requests`);
    report = await fuzz({ seed, ...root, requests: wholeNumber('requests', values.requests, 20_000), meanwhile: (target) => person.sync(target), progress });
  } finally {
    await person.end();
  }
  const { sent, setup, inside, cells, resets, held, millis } = report;
  console.log(`seed ${seed}: ${sent} requests in ${(millis / 1000).toFixed(0)} s, and ${setup} valid ones in between; ${inside} with a valid key`);
  console.log(`cells of the table: ${cells.size} with at least ${Math.min(...cells.values())}, ${emptyCells(report).length} empty; syncs of a real client: ${person.syncs}; resets: ${resets}`);
  console.log([...report.statuses].sort(([a], [b]) => a - b).map(([status, count]) => `${status}: ${count}`).join(', '));
  console.log(held);
  print(report);
  return report.failures.length === 0 ? 0 : 1;
}

async function again(numbers: string): Promise<number> {
  const [first, last] = numbers.split('-').map((text) => wholeNumber('only', text, 0)) as [number, number | undefined];
  const only = Array.from({ length: (last ?? first) - first + 1 }, (_, i) => first + i);
  const report = await fuzz({ seed, requests: 0, only, ...root });
  for (const index of only.slice(0, 40)) console.log(caseText(caseAt(seed, index)));
  print(report);
  if (values.shrink && report.failures.length > 0 && only.length === 1) await shrink(first);
  return report.failures.length === 0 ? 0 : 1;
}

/** Leaves out one mutation after the other, as long as the rest fails too. */
async function shrink(index: number): Promise<void> {
  let one: FuzzCase = caseAt(seed, index);
  for (let i = 0; i < one.chosen.length; ) {
    const fewer: FuzzCase = { ...one, chosen: one.chosen.toSpliced(i, 1) };
    const { failures } = await fuzz({ seed, requests: 0, only: [index], ...root, reduce: () => fewer });
    if (failures.length > 0) one = fewer;
    else i++;
  }
  console.log(`enough: ${caseText(one)}`);
}

function print({ failures }: FuzzReport): void {
  for (const { at, text, wire } of failures) {
    console.log(`- ${text}`);
    if (at !== undefined) console.log(`    npm run fuzz -- --seed ${at.seed} --only ${at.index}`);
    if (wire !== undefined) console.log(`    ${wire}`);
  }
  if (failures.length === 0) console.log('nothing was wrong');
}

async function findPlants(): Promise<number> {
  const wanted = values.plant === 'all' ? PLANTS : PLANTS.slice(Number(values.plant) - 1, Number(values.plant));
  if (wanted.length === 0) throw new Error(`--plant takes 1 to ${PLANTS.length}, or all`);
  let missed = 0;
  for (const plant of wanted) {
    const copy = await plantedCopy(plant);
    try {
      const report = await fuzz({ seed, requests: wholeNumber('requests', values.requests, 4_000), root: copy.root, maxFailures: 1 });
      const found = report.failures[0];
      if (found === undefined) missed++;
      console.log(`${found === undefined ? 'NOT FOUND in' : 'found after'} ${report.sent} requests: ${plant.name}`);
      if (found !== undefined) console.log(`    ${found.text.split('\n')[0]}`);
    } finally {
      await copy.remove();
    }
  }
  console.log(`${wanted.length - missed} of ${wanted.length} planted bugs found, seed ${seed}`);
  return missed === 0 ? 0 : 1;
}

/**
 * `npm run oracle -- [--seed N] [--rounds N] [--shrink] [--verbose] [--root folder]`: random rounds of real clients against the official server and
 * against ours, or that of another checkout. Exit code 1 if any round ends differently.
 * `npm run oracle -- --plant [N | all] [--seed N] [--rounds N]`: proof that the rounds find bugs: plants bug N, or each in turn, in a copy of our
 * server. Exit code 1 if one is not found within `--rounds` (200). See docs/testing.md.
 */
import { parseArgs } from 'node:util';
import { PLANTS, plantedCopy } from '../test/oracle/random/plants.ts';
import { Oracle, stepText } from '../test/oracle/random/rounds.ts';
import type { RoundResult } from '../test/oracle/random/rounds.ts';

const { values } = parseArgs({
  options: {
    seed: { type: 'string' },
    rounds: { type: 'string' },
    shrink: { type: 'boolean', default: false },
    plant: { type: 'string' },
    verbose: { type: 'boolean', default: false },
    root: { type: 'string' },
  },
});
const firstSeed = wholeNumber('seed', values.seed, Math.floor(Math.random() * 1_000_000));

process.exitCode = values.plant === undefined ? await playRounds(wholeNumber('rounds', values.rounds, 20)) : await findPlants(wholeNumber('rounds', values.rounds, 200));

function wholeNumber(name: string, text: string | undefined, otherwise: number): number {
  if (text === undefined) return otherwise;
  if (!/^\d{1,9}$/.test(text)) throw new Error(`--${name} takes a whole number, not "${text}"`);
  return Number(text);
}

/** Also when it is interrupted, no server stays behind. */
async function startOracle(): Promise<Oracle> {
  const oracle = await Oracle.start(values.root);
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => void oracle.stop().finally(() => process.exit(1)));
  return oracle;
}

async function playRounds(rounds: number): Promise<number> {
  const oracle = await startOracle();
  const startedAt = performance.now();
  const failed: number[] = [];
  let [played, alike] = [0, 0];
  try {
    for (; played < rounds; played++) {
      const result = await oracle.round(firstSeed + played);
      if (result.official.unalike === 0) alike++;
      if (values.verbose) printSteps(result);
      if (result.differences.length > 0) {
        failed.push(result.seed);
        console.log(`seed ${result.seed}: ${result.plan.steps.length} steps end differently (official <> ours)`);
        printDifferences(result);
        if (values.shrink) {
          const short = await oracle.shrink(result.plan);
          console.log(`  ${short.plan.steps.length} of these steps are enough:`);
          printSteps(short);
          printDifferences(short);
        }
      }
      if ((played + 1) % 20 === 0) {
        console.log(`${played + 1} rounds, ${failed.length} with differences, ${((performance.now() - startedAt) / 1000 / (played + 1)).toFixed(2)} s each`);
      }
    }
  } catch (error) {
    console.log(`seed ${firstSeed + played} failed`);
    throw error;
  } finally {
    await oracle.stop();
  }
  const which = failed.length > 0 ? ` (seeds ${failed.join(', ')})` : '';
  console.log(`seeds ${firstSeed} to ${firstSeed + rounds - 1}: ${rounds} rounds, ${failed.length} with differences${which}; in ${alike} all devices ended alike`);
  return failed.length === 0 ? 0 : 1;
}

function printSteps(result: RoundResult): void {
  for (const [i, step] of result.plan.steps.entries()) console.log(`    ${stepText(step)} -> ${result.official.outcomes[i] ?? 'done'}`);
}

function printDifferences(result: RoundResult): void {
  for (const line of result.differences) console.log(`    ${line}`);
}

async function findPlants(atMost: number): Promise<number> {
  const wanted = values.plant === 'all' ? PLANTS : PLANTS.slice(Number(values.plant) - 1, Number(values.plant));
  if (wanted.length === 0) throw new Error(`--plant takes 1 to ${PLANTS.length}, or all`);
  const oracle = await startOracle();
  let missed = 0;
  try {
    for (const plant of wanted) {
      const copy = await plantedCopy(plant);
      try {
        await oracle.changeOurs(copy.root);
        let found: RoundResult | undefined;
        let rounds = 0;
        while (found === undefined && rounds < atMost) {
          const result = await oracle.round(firstSeed + rounds++, { keep: true });
          if (result.differences.length > 0) found = result;
        }
        if (found === undefined) missed++;
        console.log(`${found === undefined ? 'NOT FOUND in' : 'found in round'} ${rounds}: ${plant.name}`);
        if (found !== undefined) console.log(`    ${found.differences[0]}`);
      } finally {
        await oracle.changeOurs();
        await copy.remove();
      }
    }
  } finally {
    await oracle.stop();
  }
  console.log(`${wanted.length - missed} of ${wanted.length} planted bugs found, seeds from ${firstSeed} on`);
  return missed === 0 ? 0 : 1;
}

/**
 * `npm run crash [-- part of a story's name …]`: the long form of test/crash. A server is ended before every operation on its files, and in the middle
 * of every write; the disk fails from every operation on, in each way. `--root FOLDER` tries the server of another checkout.
 *
 * `npm run crash -- --plants`: proof that bugs are found.
 * `npm run crash -- --power [--seeds 1-20]`: the power goes at every point instead, and each place that makes something durable is taken out once.
 */
import { parseArgs } from 'node:util';
import { resolve } from 'node:path';
import { builtServer } from '../test/crash/built-server.ts';
import { COMMANDS, killCommand } from '../test/crash/kill-commands.ts';
import { tryFailingDisk } from '../test/crash/full-disk.ts';
import { tryKillPoints } from '../test/crash/kill-points.ts';
import { whyNotHere } from '../test/crash/operations.ts';
import { CRASH_PLANTS, findCrashPlant } from '../test/crash/plants.ts';
import { longPowerLoss } from '../test/crash/power.ts';
import { STORIES } from '../test/crash/stories.ts';

const { values, positionals } = parseArgs({ allowPositionals: true, options: { root: { type: 'string' }, power: { type: 'boolean' }, plants: { type: 'boolean' }, seeds: { type: 'string' } } });
const why = await whyNotHere();
if (why !== undefined) {
  console.error(why);
  process.exit(1);
}
const isWanted = ({ name }: { name: string }): boolean => positionals.length === 0 || positionals.some((part) => name.includes(part));
if (values.power === true) {
  const [first = 1, last = first] = (values.seeds ?? '1-3').split('-').map(Number);
  const seeds = Array.from({ length: last - first + 1 }, (_value, index) => first + index);
  const lost = await longPowerLoss({ seeds, isWanted, say: (line) => console.log(line), ...(values.root === undefined ? {} : { root: resolve(values.root) }) });
  console.log(lost === 0 ? 'nothing was lost' : `${lost} failed`);
  process.exit(lost === 0 ? 0 : 1);
}
if (values.plants === true) {
  let missed = 0;
  for (const plant of CRASH_PLANTS.filter(isWanted)) {
    const found = await findCrashPlant(plant);
    if (found === undefined) missed += 1;
    console.log(found === undefined ? `✖ not found: ${plant.name}` : `✔ found: ${plant.name}: ${found}`);
  }
  process.exit(missed === 0 ? 0 : 1);
}
const built = builtServer(values.root === undefined ? undefined : resolve(values.root));
let failed = 0;

async function tell(name: string, run: () => Promise<string>): Promise<void> {
  try {
    console.log(`✔ ${name}: ${await run()}`);
  } catch (error) {
    failed += 1;
    console.log(`✖ ${name}: ${(error as Error).message}`);
  }
}

for (const story of STORIES.filter(isWanted)) {
  await tell(story.name, async () => {
    const { operations, killed } = await tryKillPoints(story, { both: true, root: built.root });
    return `${killed} of ${operations} kill points tried`;
  });
  if (story.ends === true) continue;
  await tell(`${story.name}, while the disk fails`, async () => {
    const { points, told } = await tryFailingDisk(story, { root: built.root });
    return `${points} failures tried, ${told} of them told`;
  });
}
for (const command of COMMANDS.filter(isWanted)) {
  await tell(command.name, async () => {
    const { operations, killed } = await killCommand(command, { both: true, root: built.root });
    return `${killed} of ${operations} kill points tried`;
  });
}
built.remove();
console.log(failed === 0 ? 'nothing was lost' : `${failed} failed`);
process.exitCode = failed === 0 ? 0 : 1;

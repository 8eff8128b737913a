/** Every story and command without its power, as the suite and the command line want it. */
import { plantedCopy } from '../oracle/random/plants.ts';
import { COMMANDS, tryCommand } from './power-commands.ts';
import { POWER_PLANTS, type PowerPlant } from './power-plants.ts';
import { tryPowerLoss, type PowerOptions, type PowerTried } from './power-points.ts';
import { STORIES } from './stories.ts';

/** Names of all that can be tried. */
export const PLAYS: readonly string[] = [...STORIES, ...COMMANDS].map(({ name }) => name);

/** @throws AssertionError with the point at which something was lost */
export function tryPlay(name: string, options: PowerOptions): Promise<PowerTried> {
  const story = STORIES.find((each) => each.name === name);
  if (story !== undefined) return tryPowerLoss(story, options);
  const command = COMMANDS.find((each) => each.name === name);
  if (command === undefined) throw new Error(`there is no story "${name}"`);
  return tryCommand(command, options);
}

export function told(name: string, { cuts, disks, wentOn }: PowerTried): string {
  return `${name}: ${cuts} of ${cuts} cut points tried, ${disks} different disks, ${wentOn} of them served again`;
}

/** What was found of durability that was taken out, or undefined if nothing was. */
export async function findPlant(plant: PowerPlant, options: PowerOptions = {}): Promise<string | undefined> {
  const copy = await plantedCopy(plant);
  try {
    await tryPlay(plant.story, { most: 15, ...options, root: copy.root });
    return undefined;
  } catch (error) {
    if (!(error instanceof Error) || error.name !== 'AssertionError') throw error;
    return error.message;
  } finally {
    await copy.remove();
  }
}

export interface LongOptions {
  seeds: readonly number[];
  isWanted: (play: { name: string }) => boolean;
  root?: string;
  say: (line: string) => void;
}

/** The long form: all cut points for each seed, a server started from many of the disks; then each plant. Answers how many failed. */
export async function longPowerLoss({ seeds, isWanted, root, say }: LongOptions): Promise<number> {
  let failed = 0;
  for (const seed of seeds) {
    for (const name of PLAYS.filter((each) => isWanted({ name: each }))) {
      try {
        say(`✔ ${told(name, await tryPlay(name, { seed, goOn: 20, ...(root === undefined ? {} : { root }) }))} (seed ${seed})`);
      } catch (error) {
        failed += 1;
        say(`✖ ${name} (seed ${seed}): ${(error as Error).message}`);
      }
    }
  }
  for (const plant of POWER_PLANTS.filter(({ story }) => isWanted({ name: story }))) {
    const found = await findPlant(plant);
    if (found === undefined) failed += 1;
    say(found === undefined ? `✖ not found: ${plant.name}` : `✔ found: ${plant.name}`);
  }
  return failed;
}

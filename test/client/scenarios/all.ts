import type { Mount } from '../mounts.ts';
import { runScenarios } from '../run-scenarios.ts';
import type { Scenario } from '../stage.ts';
import { conflicts } from './conflicts.ts';
import { foundByRandomRounds } from './found-by-random-rounds.ts';
import { largeAndLate, restarts } from './large-and-late.ts';
import { media } from './media.ts';
import { normalSync } from './normal-sync.ts';
import { signingIn } from './signing-in.ts';

const scenarios: Scenario[] = [...signingIn, ...normalSync, ...conflicts, ...largeAndLate, ...media, ...foundByRandomRounds];

export function runAllScenarios(mount: Mount): void {
  runScenarios(mount, 'Real clients', scenarios);
  runScenarios(mount, 'Real clients through restarts', restarts);
}

import { frameworks } from './mounts.ts';
import { runScenarios } from './run-scenarios.ts';
import { essentials, fewest } from './scenarios/essentials.ts';

const { express4, connect, ...others } = frameworks;
// these share all of their bridge with Express 5, where every scenario is played
for (const mount of [express4, connect]) runScenarios(mount, 'Real clients (the fewest)', fewest);
for (const mount of Object.values(others)) runScenarios(mount, 'Real clients (the essentials)', essentials);

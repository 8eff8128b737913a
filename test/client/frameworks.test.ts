import { frameworks } from './mounts.ts';
import { runScenarios } from './run-scenarios.ts';
import { essentials } from './scenarios/essentials.ts';

for (const mount of Object.values(frameworks)) runScenarios(mount, 'Real clients (the essentials)', essentials);

import { behindGateway } from './mount.ts';
import { runScenarios } from '../client/run-scenarios.ts';
import { essentials } from '../client/scenarios/essentials.ts';
import { restarts } from '../client/scenarios/large-and-late.ts';

// the others look into a data folder of ours
runScenarios(behindGateway, 'Real clients', [...essentials, ...restarts].filter(({ notOfficial }) => notOfficial === undefined));

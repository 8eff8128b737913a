import { official } from './mounts.ts';
import { runAllScenarios } from './scenarios/all.ts';

runAllScenarios(official);

import { standalone } from './mounts.ts';
import { runAllScenarios } from './scenarios/all.ts';

runAllScenarios(standalone);

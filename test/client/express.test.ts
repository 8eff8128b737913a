import { express } from './mounts.ts';
import { runAllScenarios } from './scenarios/all.ts';

runAllScenarios(express);

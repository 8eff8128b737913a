import { asFetchHandler } from './applications.ts';
import { bridgeTests } from './bridge.ts';

bridgeTests(asFetchHandler);

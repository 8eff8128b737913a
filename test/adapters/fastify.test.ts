import { inFastify } from './applications.ts';
import { bridgeTests } from './bridge.ts';

bridgeTests(inFastify);

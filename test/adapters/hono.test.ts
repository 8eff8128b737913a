import { inHono } from './applications.ts';
import { bridgeTests } from './bridge.ts';

bridgeTests(inHono);

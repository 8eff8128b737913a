import { inKoa } from './applications.ts';
import { bridgeTests } from './bridge.ts';

bridgeTests(inKoa);

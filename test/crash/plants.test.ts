/** The kill points and failing disks can fail: bugs that are planted in a copy of the server are found. `npm run crash -- --plants` tries all. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { whyNotHere } from './operations.ts';
import { checkCrashPlants, CRASH_PLANTS, findCrashPlant } from './plants.ts';

const skip = await whyNotHere();

test('each planted bug still has its place in the sources', () => checkCrashPlants());

for (const name of ['rows are committed before the usn is', 'the media index changes before the bytes are in their place', 'a full disk is told as the fault of the client']) {
  test(`a planted bug is found: ${name}`, { skip: skip ?? false }, async () => {
    const plant = CRASH_PLANTS.find((each) => each.name === name)!;
    assert.notEqual(await findCrashPlant(plant, 6), undefined);
  });
}

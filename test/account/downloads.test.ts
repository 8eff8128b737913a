import assert from 'node:assert/strict';
import { once } from 'node:events';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import test from 'node:test';
import { Downloads } from '../../lib/account/downloads.ts';
import { until } from '../engine/until.ts';

const CHUNK = Buffer.alloc(64 * 1024);

/** As long as anybody reads. */
function endless(): Readable {
  return new Readable({
    read() {
      this.push(CHUNK);
    },
  });
}

/** Of ada, who had a download. */
async function placeIsFree(downloads: Downloads): Promise<void> {
  await until(() => {
    try {
      downloads.begin('ada').leave();
      return true;
    } catch {
      return false;
    }
  });
}

test('one user has one download at a time, however many places there are', async () => {
  const downloads = new Downloads();
  const place = downloads.begin('ada');
  assert.throws(() => downloads.begin('ada'), { status: 409 });
  assert.equal((await buffer(place.hold(Readable.from([Buffer.from('all of it')])))).toString(), 'all of it');
  await placeIsFree(downloads);
});

test('where all places are taken, the download that nobody took anything of for longest makes room, and those that go on do not', async () => {
  const clock = { millis: 1000 };
  const downloads = new Downloads(() => clock.millis);
  const sent = ['ada', 'bob', 'carol', 'dora'].map((userId) => {
    clock.millis += 1;
    return downloads.begin(userId).hold(endless());
  });
  const ends = sent.map((each) => once(each, 'close').catch(() => {}));
  await Promise.all(sent.map((each) => once(each, 'readable')));
  assert.throws(() => downloads.begin('eve'), { status: 503, retryAfterSecs: 60 });
  clock.millis += 61_000;
  // ada goes on: more than what stands ready
  for (let taken = 0; taken < 1024 * 1024;) {
    const chunk = sent[0]!.read() as Buffer | null;
    if (chunk === null) await once(sent[0]!, 'readable');
    else taken += chunk.length;
  }
  const place = downloads.begin('eve');
  await ends[1];
  assert.deepEqual(sent.map(({ destroyed }) => destroyed), [false, true, false, false]);
  assert.throws(() => downloads.begin('ada'), { status: 409 });
  place.leave();
  downloads.begin('bob').leave();
  for (const each of sent) each.destroy();
  await Promise.all(ends);
});

test('a download that ends, or whose reader is gone, gives its place back, and the source of it ends too', async () => {
  const downloads = new Downloads();
  const source = endless();
  // `once` of node:events would take how it ends for a failure
  const gone = new Promise((resolve) => source.once('close', resolve));
  const sent = downloads.begin('ada').hold(source);
  await once(sent, 'readable');
  sent.destroy();
  await gone;
  await placeIsFree(downloads);
});

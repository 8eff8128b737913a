import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openBody, STALLED_MILLIS } from '../../lib/protocol/body-source.ts';
import { ClientGone } from '../../lib/protocol/client-gone.ts';

async function* stallsAfter(pieces: number): AsyncGenerator<Uint8Array> {
  for (let piece = 0; piece < pieces; piece += 1) yield Uint8Array.of(piece);
  await new Promise(() => {});
}

test('a body of which nothing comes for a minute is given up, and its client counts as gone', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const source = openBody({ bytes: stallsAfter(1), contentLength: undefined } as never, 100);
  assert.deepEqual(await source.next(), Uint8Array.of(0));
  const waiting = source.next();
  t.mock.timers.tick(STALLED_MILLIS - 1);
  assert.equal(await Promise.race([waiting.catch(() => 'given up'), Promise.resolve('waits')]), 'waits');
  t.mock.timers.tick(1);
  await assert.rejects(waiting, ClientGone);
});

test('a slow body is not stalled: every piece starts the minute anew', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  async function* slow(): AsyncGenerator<Uint8Array> {
    for (let piece = 0; piece < 5; piece += 1) {
      yield Uint8Array.of(piece);
      t.mock.timers.tick(STALLED_MILLIS - 1);
    }
  }
  const source = openBody({ bytes: slow(), contentLength: undefined } as never, 100);
  let bytes = 0;
  while ((await source.next()) !== null) bytes += 1;
  assert.equal(bytes, 5);
});

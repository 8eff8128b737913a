import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FairQueue } from '../../lib/auth/fair-queue.ts';
import { SyncError } from '../../lib/errors.ts';

/** Works that run until they are let go, and the order in which they began. */
class Works {
  readonly queue: FairQueue;
  readonly begun: string[] = [];
  readonly refused: string[] = [];
  readonly #ends: (() => void)[] = [];

  constructor(options: Partial<ConstructorParameters<typeof FairQueue>[0]> = {}) {
    this.queue = new FairQueue({ parallel: 1, parallelPerSource: 1, maxWaiting: 100, maxWaitingPerSource: 100, ...options });
  }

  async come(name: string, turn: { source: string; isKnown?: boolean; isShared?: boolean; signal?: AbortSignal }): Promise<void> {
    await this.queue
      .run({ isKnown: false, isShared: false, ...turn }, () => {
        this.begun.push(name);
        return new Promise<void>((resolve) => this.#ends.push(resolve));
      })
      .catch((error: unknown) => {
        assert.ok(error instanceof SyncError && error.code === 'BUSY');
        this.refused.push(name);
      });
  }

  /** Lets them end one after the other until none is left. */
  async endAll(): Promise<void> {
    for (let end = this.#ends.shift(); end !== undefined; end = this.#ends.shift()) {
      end();
      await new Promise(setImmediate);
    }
  }
}

test('sources take turns: one that sends many delays the others by one', async () => {
  const works = new Works();
  for (const name of ['flood1', 'flood2', 'flood3', 'flood4']) void works.come(name, { source: 'flood' });
  void works.come('ann', { source: 'ann' });
  void works.come('bob', { source: 'bob' });
  await works.endAll();
  assert.deepEqual(works.begun, ['flood1', 'flood2', 'ann', 'bob', 'flood3', 'flood4']);
});

test('where somebody is known goes first', async () => {
  const works = new Works();
  for (const name of ['a', 'b', 'c']) void works.come(name, { source: name });
  void works.come('home', { source: 'home', isKnown: true });
  await works.endAll();
  assert.deepEqual(works.begun, ['a', 'home', 'b', 'c']);
});

test('one source has at most its share at the same time, others use the rest', async () => {
  const works = new Works({ parallel: 3, parallelPerSource: 2 });
  for (const name of ['flood1', 'flood2', 'flood3']) void works.come(name, { source: 'flood' });
  void works.come('ann', { source: 'ann' });
  assert.deepEqual(works.begun, ['flood1', 'flood2', 'ann']);
  await works.endAll();
  assert.deepEqual(works.begun, ['flood1', 'flood2', 'ann', 'flood3']);
});

test('what may be everybody in one has no share of its own', async () => {
  const works = new Works({ parallel: 3, parallelPerSource: 1, maxWaitingPerSource: 1 });
  for (const name of ['1', '2', '3', '4', '5']) void works.come(name, { source: 'proxy', isShared: true });
  assert.deepEqual(works.begun, ['1', '2', '3']);
  await works.endAll();
  assert.deepEqual([works.begun.length, works.refused], [5, []]);
});

test('one more than may wait of a source is told to come again', async () => {
  const works = new Works({ maxWaitingPerSource: 2 });
  for (const name of ['1', '2', '3', '4']) void works.come(name, { source: 'flood' });
  await works.endAll();
  assert.deepEqual([works.begun, works.refused], [['1', '2', '3'], ['4']]);
});

test('when too many wait, the source with most of them gives way', async () => {
  const works = new Works({ maxWaiting: 3 });
  for (const name of ['1', '2', '3', '4', '5']) void works.come(name, { source: 'flood' });
  void works.come('ann', { source: 'ann' });
  await works.endAll();
  assert.deepEqual([works.begun, works.refused], [['1', '2', 'ann', '3'], ['5', '4']]);
});

test('a flood from many sources gives way to those where somebody is known, and not to one more stranger', async () => {
  const works = new Works({ maxWaiting: 3 });
  for (const name of ['1', '2', '3', '4']) void works.come(name, { source: name });
  void works.come('stranger', { source: 'stranger' });
  void works.come('home', { source: 'home', isKnown: true });
  await works.endAll();
  assert.deepEqual(works.refused.toSorted(), ['2', 'stranger']);
  assert.deepEqual(works.begun, ['1', 'home', '3', '4']);
});

test('whoever is gone when the turn comes does no work', async () => {
  const works = new Works();
  const gone = new AbortController();
  void works.come('1', { source: 'a' });
  void works.come('2', { source: 'b', signal: gone.signal });
  void works.come('3', { source: 'c' });
  gone.abort();
  await works.endAll();
  assert.deepEqual([works.begun, works.refused], [['1', '3'], ['2']]);
});

test('a work that fails gives its place free', async () => {
  const { queue } = new Works();
  const turn = { source: 'a', isKnown: false, isShared: false };
  await assert.rejects(queue.run(turn, () => Promise.reject(new Error('down'))), /down/);
  assert.equal(await queue.run(turn, async () => 1), 1);
});

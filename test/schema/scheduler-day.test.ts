import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Json } from '../../lib/schema/json.ts';
import { DEFAULT_ROLLOVER_HOUR, lacksRollover, needsUnbury, schedulerDay } from '../../lib/schema/scheduler-day.ts';
import { changesBody, officialSync, type OfficialSync } from './official-sync.ts';

type Config = { [key: string]: Json };

/** The config after a new sync has begun on a collection with this creation and config: the server writes the day into it. */
async function configAfterStart(official: OfficialSync, creationSecs: number, config: Config): Promise<Config> {
  await official.start();
  await official.apply({ conf: config, crt: creationSecs });
  const finished = await official.post('finish', {});
  assert.equal(finished.status, 200);
  await official.start();
  const answer = await official.post('applyChanges', changesBody({}));
  return (JSON.parse(answer.text) as { conf: Config }).conf;
}

const nowSecs = (): number => Math.floor(Date.now() / 1000);

/** Creation, config and what Anki says must fit either the second before or the one after. */
async function assertDay(official: OfficialSync, creationSecs: number, config: Config): Promise<void> {
  const before = nowSecs();
  const after = await configAfterStart(official, creationSecs, { ...config, lastUnburied: 4_000_000_000 });
  const days = [before, nowSecs()].map((now) => schedulerDay({ creationSecs, nowSecs: now, config }));
  const stored = after['lastUnburied'] as number;
  const message = JSON.stringify({ creationSecs, config, before });
  // a day that wrapped is larger than what was there, and still within the week that needs no unburying, or is stored like any other
  if (!needsUnbury(4_000_000_000, days[0]!)) assert.equal(stored, 4_000_000_000, message);
  else assert.ok(days.includes(stored), `${message}: ${days} instead of ${stored}`);
  assert.equal(after['rollover'], lacksRollover(config) ? DEFAULT_ROLLOVER_HOUR : config['rollover'], message);
}

test('the day is that of the official server, for many creations, offsets and hours', async (t) => {
  const official = await officialSync(t);
  let state = 3;
  const next = (limit: number): number => (state = (Math.imul(state, 1664525) + 1013904223) >>> 0) % 2_147_483 % limit;
  const now = nowSecs();
  for (let index = 0; index < 150; index++) {
    // close to whole days ago, so that each rule about the edge of a day decides
    const creationSecs = now - next(40) * 86_400 - next(86_400) - (index % 5 === 0 ? next(10_000) * 86_400 : 0);
    const config: Config = { schedVer: 2, rollover: next(24) };
    if (index % 3 !== 0) config['creationOffset'] = next(1700) - 850;
    if (index % 4 !== 0) config['localOffset'] = next(1700) - 850;
    if (index % 10 === 9) config['schedVer'] = 1;
    await assertDay(official, creationSecs, config);
  }
});

test('an offset that puts the rollover into this very minute', async (t) => {
  const official = await officialSync(t);
  for (const minutes of [-1, 0, 1]) {
    const now = nowSecs();
    const localOffset = Math.floor((now % 3600) / 60) + minutes;
    const rollover = Math.floor((now % 86_400) / 3600);
    await assertDay(official, now - 10 * 86_400, { schedVer: 2, rollover, localOffset, creationOffset: localOffset });
    await assertDay(official, now - 10 * 86_400, { schedVer: 2, rollover, localOffset });
  }
});

test('invalid and missing config counts as Anki counts it', async (t) => {
  const official = await officialSync(t);
  const created = nowSecs() - 12_345_678;
  const configs: Config[] = [
    {}, { schedVer: 2 }, { schedVer: 1, rollover: 7 }, { schedVer: 3 }, { schedVer: '2' }, { schedVer: null }, { schedVer: true },
    { rollover: 24 }, { rollover: 255 }, { rollover: 256 }, { rollover: -1 }, { rollover: '5' }, { rollover: null }, { rollover: 4.5 },
    { localOffset: 1439 }, { localOffset: 1440 }, { localOffset: -1439 }, { localOffset: -1440 }, { localOffset: '60' },
    { localOffset: 1.5 },
    { localOffset: 71_582_789 }, { creationOffset: null }, { creationOffset: 1440 }, { creationOffset: 'x' }, { creationOffset: 2 ** 31 },
    { creationOffset: 71_582_789 }, { creationOffset: 0 }, { creationOffset: -1439, localOffset: 1439 },
  ];
  for (const config of configs) await assertDay(official, created, { schedVer: 2, ...config });
});

test('a collection from the future wraps in the old ways of reckoning, and has day 0 in the new one', async (t) => {
  const official = await officialSync(t);
  const future = nowSecs() + 10 * 86_400 + 5;
  const configs: Config[] = [{ schedVer: 1 }, { schedVer: 2, rollover: 4 }, { schedVer: 2, rollover: 4, creationOffset: 0 }];
  for (const config of configs) await assertDay(official, future, config);
  assert.equal(schedulerDay({ creationSecs: future, nowSecs: future - 86_400 * 3, config: { schedVer: 1 } }), 2 ** 32 - 3);
});

test('cards are unburied on a later day, and when the last day is more than a week ahead', async (t) => {
  const official = await officialSync(t);
  const config: Config = { schedVer: 2, rollover: 4, creationOffset: 0 };
  const creationSecs = nowSecs() - 100 * 86_400;
  const today = schedulerDay({ creationSecs, nowSecs: nowSecs(), config });
  for (const lastUnburied of [0, today - 1, today, today + 1, today + 7, today + 8, 4_294_967_295, -1, 4_294_967_296, '5', null, 1.5]) {
    const after = await configAfterStart(official, creationSecs, { ...config, lastUnburied });
    assert.deepEqual(after['lastUnburied'], needsUnbury(lastUnburied, today) ? today : lastUnburied, String(lastUnburied));
  }
});

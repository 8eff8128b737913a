/** What those hear who listen to the server's tracing channels. */
import assert from 'node:assert/strict';
import { AsyncLocalStorage } from 'node:async_hooks';
import { tracingChannel, type TracingChannel } from 'node:diagnostics_channel';
import test, { type TestContext } from 'node:test';
import type { RequestTrace, SyncTrace, UploadTrace } from '../../lib/index.ts';
import { metaOf, untilSanityCheck, wholeSync } from '../engine/whole-sync.ts';
import { someCollection } from './collection-bytes.ts';
import { PASSWORD, runningServer } from './running-server.ts';
import { until } from './until.ts';

interface Heard<Context> {
  event: string;
  context: Context;
}

/** Everything that is told, from now to the end of the test. */
function heard<Context extends object>(t: TestContext, name: string): Heard<Context>[] {
  const all: Heard<Context>[] = [];
  const channel = tracingChannel(name) as unknown as TracingChannel<unknown, Context>;
  const listen = (event: string) => (context: Context): void => void all.push({ event, context });
  const listeners = { start: listen('start'), end: listen('end'), asyncStart: listen('asyncStart'), asyncEnd: listen('asyncEnd'), error: listen('error') };
  channel.subscribe(listeners);
  t.after(() => channel.unsubscribe(listeners));
  return all;
}

test('a request is told as it comes and once its answer is ready, with its line of the log, and with nothing that is secret', async (t) => {
  await using server = await runningServer();
  const requests = heard<RequestTrace>(t, 'anki-sync.request');
  const ann = await server.user('ann');
  await metaOf(ann);
  await assert.rejects(ann.withSession('x').hostKey('ann', 'a wrong password'));
  const ended = requests.filter(({ event }) => event === 'asyncEnd').map(({ context: { entry } }) => [entry.request, entry.status, entry.user, entry.code]);
  assert.deepEqual(ended, [['hostKey', 200, 'ann', undefined], ['meta', 200, 'ann', undefined], ['hostKey', 403, 'ann', 'PASSWORD_WRONG']]);
  assert.deepEqual(requests.slice(0, 4).map(({ event }) => event), ['start', 'end', 'asyncStart', 'asyncEnd']);
  assert.equal(requests[0]!.context, requests[3]!.context);
  assert.equal(requests[3]!.context.entry, server.log.find(({ request }) => request === 'hostKey'));
  const all = JSON.stringify(requests);
  for (const secret of [PASSWORD, ann.key, ann.sessionKey, 'a wrong password']) assert.ok(!all.includes(secret), secret);
});

test('whoever signs users in is reached by what a listener bound to the request', async (t) => {
  const bound = new AsyncLocalStorage<RequestTrace>();
  const { start } = tracingChannel('anki-sync.request') as unknown as TracingChannel<unknown, RequestTrace>;
  start.bindStore(bound);
  t.after(() => start.unbindStore(bound));
  let seen: RequestTrace | undefined;
  await using server = await runningServer({
    authenticator: () => {
      seen = bound.getStore();
      return true;
    },
  });
  await server.user('ann');
  assert.equal(seen?.entry, server.log.find(({ request }) => request === 'hostKey'));
});

test('a full upload is told once its last byte has come, and once it has replaced the collection, was refused, or failed', async (t) => {
  await using server = await runningServer();
  const ann = await server.user('ann');
  const collection = await someCollection(ann);
  const uploads = heard<UploadTrace & { error?: { code: string } }>(t, 'anki-sync.upload');
  await ann.post('upload', Buffer.from('garbage'));
  assert.equal((await ann.post('upload', collection)).text(), 'OK');
  assert.deepEqual(uploads.map(({ event, context: { user, bytes } }) => [event, user, bytes]), [7, collection.length].flatMap(
    (bytes) => ['start', 'end', 'asyncStart', 'asyncEnd'].map((event) => [event, 'ann', bytes]),
  ));
});

test('a sync is told as it begins and as it ends: done, failed, taken over, or given up by its client', async (t) => {
  await using server = await runningServer();
  const syncs = heard<SyncTrace>(t, 'anki-sync.sync');
  const ann = await server.user('ann');
  const events = (): unknown[] => syncs.splice(0).map(({ event, context: { kind, user, outcome } }) => [event, kind, user, outcome]);
  // what began is asked for its outcome late enough to have one
  const ended = ['asyncEnd', 'normal', 'ann', 'ended'];
  await wholeSync(ann);
  assert.deepEqual(events(), [['start', 'normal', 'ann', 'done'], ['asyncEnd', 'normal', 'ann', 'done']]);
  await untilSanityCheck(ann);
  await metaOf(ann);
  assert.deepEqual(events().slice(1), [ended]);
  await untilSanityCheck(ann);
  await ann.withSession('another').post('start', { minUsn: 0, lnewer: false, graves: null });
  assert.equal((await ann.post('finish')).status, 409);
  assert.deepEqual(events().slice(1, 3), [ended, ['start', 'normal', 'ann', undefined]]);
  await ann.withSession('another').post('sanityCheck2', { client: [[9, 9, 9], 9, 9, 9, 9, 9, 9, 9] });
  assert.deepEqual(events(), [ended]);
  await ann.msync('begin', { v: 'test' });
  await ann.msync('mediaSanity', { local: 0 });
  await ann.post('download');
  await until(() => syncs.length === 4);
  assert.deepEqual(syncs.filter(({ event }) => event === 'asyncEnd').map(({ context: { kind, outcome } }) => [kind, outcome]), [['media', 'done'], ['download', 'done']]);
});

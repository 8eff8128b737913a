/** What a user may have at most is told in words that Anki shows, and nothing that makes it less is refused. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { openBuiltInAuth } from '../../lib/auth/built-in.ts';
import type { HostKeys } from '../../lib/auth/host-keys.ts';
import type { User } from '../../lib/auth/authenticator.ts';
import type { RawClient } from '../client/raw.ts';
import { uploadZip } from '../media/raw-zip.ts';
import { changedBy, someCollection } from './collection-bytes.ts';
import { runningServer, type RunningServer } from './running-server.ts';

const KIB = 1024;

test('media past the quota are refused with words; deletions and smaller files pass', async () => {
  await using server = await runningServer({ quota: { maxMediaBytes: 10 * KIB } });
  const user = await server.user('ann');
  const send = async (...changes: [string, string | null][]): Promise<{ data: unknown; err: string }> => (await user.msync('uploadChanges', uploadZip(changes))).json() as { data: unknown; err: string };
  await user.msync('begin', { v: 'test' });
  assert.deepEqual((await send(['a.png', 'a'.repeat(6 * KIB)], ['b.png', 'b'.repeat(4 * KIB)])).err, '');
  const { data, err } = await send(['c.png', 'c']);
  assert.equal(data, null);
  assert.equal(err, 'Your media would have 0.0 MiB, and the sync server allows 0.0 MiB. Your files on this device are fine, and your cards sync as before. Please delete some media.');
  assert.deepEqual(server.log.findLast(({ request }) => request === 'uploadChanges')?.code, 'QUOTA_EXCEEDED');
  assert.equal((await send(['a.png', 'a'.repeat(5 * KIB)])).err, '');
  assert.equal((await send(['b.png', null], ['c.png', 'c'.repeat(5 * KIB)])).err, '');
  assert.notEqual((await send(['d.png', 'd'])).err, '');
  assert.deepEqual((await user.msync('mediaSanity', { local: 2 })).json(), { data: 'OK', err: '' });
  const other = await server.user('bob');
  await other.msync('begin', { v: 'test' });
  assert.equal(((await other.msync('uploadChanges', uploadZip([['a.png', 'a'.repeat(6 * KIB)]]))).json() as { err: string }).err, '');
});

test('a collection past the quota is refused, with words, and what was there stays', async () => {
  await using large = await runningServer();
  // of one without free pages all bytes count
  const collection = await changedBy(await someCollection(await large.user('ann')), 'VACUUM');
  await using server = await runningServer({ quota: { maxCollectionBytes: collection.length - 1 } });
  const user = await server.user('ann');
  const answer = await user.post('upload', collection);
  assert.equal(answer.status, 200);
  assert.match(answer.text(), /^Your collection would have \d\.\d MiB, and the sync server allows \d\.\d MiB\. Your cards on this device are fine\. Nothing was sent\.$/);
  assert.equal((await user.post('meta', { v: 11, cv: 'x' })).json().empty, true);
  assert.equal(server.log.findLast(({ request, version }) => request === 'upload' && version !== undefined)?.event, 'upload.refused');
  await using exact = await runningServer({ quota: { maxCollectionBytes: collection.length } });
  assert.equal((await (await exact.user('ann')).post('upload', collection)).text(), 'OK');
});

interface Meta {
  msg: string;
  cont: boolean;
}

async function meta(user: RawClient, version = 11): Promise<Meta> {
  const { msg, cont } = (await user.post('meta', { v: version, cv: 'x' }, { version })).json() as unknown as Meta;
  return { msg, cont };
}

async function setQuota({ base }: RunningServer, name: string, quota: { collectionBytes?: number | null; mediaBytes?: number | null }): Promise<void> {
  const auth = await openBuiltInAuth(base);
  try {
    await auth.users.setQuota(name, quota);
  } finally {
    await auth.close();
  }
}

async function sendMedia(user: RawClient, ...changes: [string, string | null][]): Promise<{ data: unknown; err: string }> {
  return (await user.msync('uploadChanges', uploadZip(changes))).json() as { data: unknown; err: string };
}

test('of a zip that is partly too much, what comes before is taken, and the client is told how many that were', async () => {
  await using server = await runningServer({ quota: { maxMediaBytes: 10 * KIB } });
  const user = await server.user('ann');
  await user.msync('begin', { v: 'test' });
  assert.deepEqual((await sendMedia(user, ['a', 'a'.repeat(6 * KIB)], ['b', 'b'.repeat(4 * KIB)], ['c', 'c'])).data, [2, 2]);
  // a deletion before it makes room, one behind it does not: the client counts from the first name on
  assert.deepEqual((await sendMedia(user, ['a', null], ['c', 'c'.repeat(3 * KIB)], ['d', 'd'.repeat(4 * KIB)])).data, [2, 4]);
  assert.match((await sendMedia(user, ['d', 'd'.repeat(4 * KIB)])).err, /^Your media would have/);
  // as a whole, it fits
  assert.deepEqual((await sendMedia(user, ['d', 'd'.repeat(4 * KIB)], ['b', null])).data, [2, 6]);
  assert.deepEqual((await user.msync('mediaSanity', { local: 2 })).json(), { data: 'OK', err: '' });
});

test('of a collection over its quota, meta says so and goes on, to clients of all versions, from memory too', async () => {
  await using server = await runningServer({ quota: { maxCollectionBytes: 10 * KIB } });
  const user = await server.user('ann');
  const WORDS = /^Your collection has 0\.\d MiB, and the sync server allows 0\.0 MiB\. Your cards are synced all the same, and nothing is lost\./;
  for (const version of [11, 11, 10]) {
    const { msg, cont } = await meta(user, version);
    assert.equal(cont, true);
    assert.match(msg, WORDS);
    // desktops show it as HTML
    assert.doesNotMatch(msg, /[<>&]/);
  }
  // whoever cannot sync at all is told that
  assert.deepEqual(await meta(user, 8), { msg: 'Your client does not support the v2 scheduler', cont: false });
  const line = server.log.findLast(({ request }) => request === 'meta');
  assert.equal(line?.level, 'warn');
  assert.match(line?.detail ?? '', /^a collection of \d+ bytes; 10240 are allowed$/);
});

test('what is set for a user holds from the next request on, whoever they are: by a function, by keys kept elsewhere, by anybody', async () => {
  const asked: string[] = [];
  const kept = new Map<string, User>();
  const hostKeys: HostKeys = {
    issue: async (user) => (kept.set(`key of ${user.loginName}`, user), `key of ${user.loginName}`),
    resolve: (key) => kept.get(key) ?? null,
    revoke: async () => 0,
    list: async () => [],
  };
  for (const keys of [undefined, hostKeys]) {
    await using server = await runningServer({
      ...(keys === undefined ? {} : { hostKeys: keys }),
      quota: ({ loginName }) => (asked.push(loginName), loginName === 'ann' ? { maxCollectionBytes: KIB, maxMediaBytes: KIB } : undefined),
    });
    const [ann, bob] = [await server.user('ann'), await server.user('bob')];
    assert.deepEqual([(await meta(ann)).msg === '', (await meta(bob)).msg === ''], [false, true]);
    assert.match((await sendMedia(ann, ['a', 'a'.repeat(2 * KIB)])).err, /^Your media would have/);
    assert.equal((await sendMedia(bob, ['a', 'a'.repeat(2 * KIB)])).err, '');
    await setQuota(server, 'ann', { collectionBytes: 0, mediaBytes: 3 * KIB });
    await setQuota(server, 'bob', { collectionBytes: KIB });
    assert.deepEqual([(await meta(ann)).msg === '', (await meta(bob)).msg === ''], [true, false]);
    assert.equal((await sendMedia(ann, ['a', 'a'.repeat(2 * KIB)])).err, '');
    await setQuota(server, 'ann', { collectionBytes: null });
    assert.notEqual((await meta(ann)).msg, '');
    assert.ok(asked.includes('ann') && asked.includes('bob'));
  }
});

test('a function that fails stops no sync, and the log says so', async () => {
  await using server = await runningServer({ quota: () => Promise.reject(new Error('the portal is down')) });
  const user = await server.user('ann');
  assert.deepEqual(await meta(user), { msg: '', cont: true });
  assert.equal((await sendMedia(user, ['a', 'a'])).err, '');
  assert.deepEqual(server.log.filter(({ request }) => request === 'quota').map(({ level, user: name, detail }) => [level, name, detail]), [
    ['error', 'ann', 'Error: the portal is down'], ['error', 'ann', 'Error: the portal is down'],
  ]);
});

test('an upload over the quota passes where it makes the collection no larger', async () => {
  await using server = await runningServer({ quota: () => ({ maxCollectionBytes: KIB }) });
  const user = await server.user('ann');
  await using large = await runningServer();
  const collection = await someCollection(await large.user('ann'));
  assert.match((await user.post('upload', collection)).text(), /^Your collection would have/);
  await setQuota(server, 'ann', { collectionBytes: 0 });
  assert.equal((await user.post('upload', collection)).text(), 'OK');
  await setQuota(server, 'ann', { collectionBytes: null });
  assert.equal((await user.post('upload', collection)).text(), 'OK');
  const larger = await changedBy(collection, `CREATE TABLE more (x); INSERT INTO more VALUES (randomblob(100000))`);
  assert.match((await user.post('upload', larger)).text(), /^Your collection would have/);
});

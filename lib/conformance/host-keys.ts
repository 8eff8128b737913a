import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { TestContext } from 'node:test';
import type { User } from '../auth/authenticator.ts';
import type { HostKeys } from '../auth/host-keys.ts';

export interface HostKeysUnderTest {
  hostKeys: HostKeys;
  /** Two users that the implementation knows. */
  ann: User;
  bob: User;
  /**
   * An app password of ann's that the implementation knows, if it has to know them: keys may be issued for its id. Default: any text will do.
   */
  appPasswordOf?(user: User): Promise<string> | string;
  /** Opens a second one on the same storage, as another process or a restart would; the first stays open. */
  again?(): Promise<HostKeys> | HostKeys;
  /** All bytes that the implementation keeps. */
  storedBytes?(): Promise<Uint8Array> | Uint8Array;
  close?(): Promise<void> | void;
}

export interface HostKeysSuiteOptions {
  /** Of the implementation, for the report. */
  name: string;
  make(): Promise<HostKeysUnderTest> | HostKeysUnderTest;
}

const DEVICE = { client: 'anki,26.9.3 (0000),lin:test', address: '192.0.2.1' };

/** What every `HostKeys` must do. Call it in a file that `node --test` runs. */
export function hostKeysSuite({ name, make }: HostKeysSuiteOptions): void {
  const test = (sentence: string, body: (subject: HostKeysUnderTest, context: TestContext) => Promise<void>): void => {
    it(sentence, async (context) => {
      const subject = await make();
      try {
        await body(subject, context);
      } finally {
        await subject.hostKeys.close?.();
        await subject.close?.();
      }
    });
  };

  describe(`host keys: ${name}`, () => {
    test('an issued key leads to its user', async ({ hostKeys, ann, bob }) => {
      const annsKey = await hostKeys.issue(ann, DEVICE);
      const bobsKey = await hostKeys.issue(bob, DEVICE);
      assert.deepEqual(await hostKeys.resolve(annsKey), ann);
      assert.deepEqual(await hostKeys.resolve(bobsKey), bob);
      assert.deepEqual(await hostKeys.resolve(annsKey), ann);
    });

    test('each login gets a key of its own, and all of them work', async ({ hostKeys, ann }) => {
      const keys = await Promise.all(Array.from({ length: 5 }, () => hostKeys.issue(ann, DEVICE)));
      assert.equal(new Set(keys).size, 5);
      for (const key of keys) assert.deepEqual(await hostKeys.resolve(key), ann);
    });

    test('a key fits an HTTP header and a JSON string, and cannot be guessed', async ({ hostKeys, ann }) => {
      const key = await hostKeys.issue(ann, { client: '' });
      assert.match(key, /^[A-Za-z0-9._~-]{32,512}$/);
    });

    test('a key that was never issued is null, not an error', async ({ hostKeys, ann }) => {
      const key = await hostKeys.issue(ann, DEVICE);
      const last = key.at(-1) === 'A' ? 'B' : 'A';
      const others = ['', ' ', 'x', key.slice(0, -1), key.slice(0, -1) + last, `${key}A`, ` ${key}`, key.toUpperCase(), '\0', "' OR 1=1 --",
        '\ud800', '__proto__', 'x'.repeat(100_000), '0'.repeat(40)];
      for (const other of others) assert.equal(await hostKeys.resolve(other), null, JSON.stringify(other.slice(0, 20)));
    });

    test('a revoked key is null at once, and the others stay', async ({ hostKeys, ann, bob }) => {
      const lost = await hostKeys.issue(ann, { client: 'lost phone' });
      const kept = await hostKeys.issue(ann, { client: 'desktop' });
      const bobs = await hostKeys.issue(bob, DEVICE);
      assert.deepEqual(await hostKeys.resolve(lost), ann);
      const entry = (await hostKeys.list(ann.id)).find((key) => key.client === 'lost phone');
      assert.ok(entry !== undefined);
      assert.equal(await hostKeys.revoke(ann.id, entry.keyId), 1);
      assert.equal(await hostKeys.resolve(lost), null);
      assert.deepEqual(await hostKeys.resolve(kept), ann);
      assert.deepEqual(await hostKeys.resolve(bobs), bob);
      assert.equal(await hostKeys.revoke(ann.id, entry.keyId), 0);
    });

    test('a key id of one user revokes nothing of another', async ({ hostKeys, ann, bob }) => {
      const key = await hostKeys.issue(ann, DEVICE);
      const [entry] = await hostKeys.list(ann.id);
      assert.ok(entry !== undefined);
      assert.equal(await hostKeys.revoke(bob.id, entry.keyId), 0);
      assert.deepEqual(await hostKeys.resolve(key), ann);
    });

    test('revoking without a key id ends all of the user, and only of the user', async ({ hostKeys, ann, bob }) => {
      const keys = [await hostKeys.issue(ann, DEVICE), await hostKeys.issue(ann, DEVICE)];
      const bobs = await hostKeys.issue(bob, DEVICE);
      assert.equal(await hostKeys.revoke(ann.id), 2);
      for (const key of keys) assert.equal(await hostKeys.resolve(key), null);
      assert.deepEqual(await hostKeys.resolve(bobs), bob);
      assert.deepEqual(await hostKeys.list(ann.id), []);
    });

    test('the list names device and time of each key, and holds nothing of the key', async ({ hostKeys, ann, bob }) => {
      const before = Math.floor(Date.now() / 1000);
      const key = await hostKeys.issue(ann, DEVICE);
      const list = await hostKeys.list(ann.id);
      assert.equal(list.length, 1);
      assert.equal(list[0]?.client, DEVICE.client);
      assert.ok(list[0].issuedSecs >= before && list[0].issuedSecs <= Date.now() / 1000);
      assert.ok(!JSON.stringify(list).includes(key.slice(-43)));
      assert.deepEqual(await hostKeys.list(bob.id), []);
    });

    test('a key remembers the app password that it was issued for, and can be ended by that', async ({ hostKeys, ann, appPasswordOf }) => {
      const appPasswordId = await appPasswordOf?.(ann) ?? 'of-the-phone';
      const phone = await hostKeys.issue(ann, { ...DEVICE, appPasswordId });
      const desktop = await hostKeys.issue(ann, DEVICE);
      const list = await hostKeys.list(ann.id);
      assert.deepEqual(list.map((entry) => entry.appPasswordId).sort(), [appPasswordId, undefined].sort());
      for (const entry of list) if (entry.appPasswordId === appPasswordId) assert.equal(await hostKeys.revoke(ann.id, entry.keyId), 1);
      assert.equal(await hostKeys.resolve(phone), null);
      assert.deepEqual(await hostKeys.resolve(desktop), ann);
    });

    test('a key with an end holds until then, and not after', async ({ hostKeys, ann }) => {
      const nowSecs = Math.floor(Date.now() / 1000);
      const over = await hostKeys.issue(ann, { ...DEVICE, expiresSecs: nowSecs - 1 });
      const lasts = await hostKeys.issue(ann, { ...DEVICE, expiresSecs: nowSecs + 86_400 });
      assert.equal(await hostKeys.resolve(over), null);
      assert.deepEqual(await hostKeys.resolve(lasts), ann);
      assert.equal((await hostKeys.list(ann.id)).length, 1);
    });

    test('what a device does last is in the list, and an unknown key that syncs is nothing', async ({ hostKeys, ann }, context) => {
      if (hostKeys.synced === undefined) return context.skip('it does not remember syncs');
      const key = await hostKeys.issue(ann, DEVICE);
      await hostKeys.issue(ann, DEVICE);
      const before = Math.floor(Date.now() / 1000);
      hostKeys.synced(key, { client: 'anki,27.1 (0000),lin:test', address: '192.0.2.2' });
      hostKeys.synced(key, { client: '' });
      hostKeys.synced('unknown', DEVICE);
      const list = await hostKeys.list(ann.id);
      const [synced, ...others] = list.filter(({ lastSyncSecs }) => lastSyncSecs !== undefined);
      assert.equal(others.length, 0);
      assert.deepEqual([synced?.client, synced?.address], ['anki,27.1 (0000),lin:test', '192.0.2.2']);
      assert.ok(synced!.lastSyncSecs! >= before && synced!.lastSyncSecs! <= Date.now() / 1000);
      assert.equal(list.length, 2);
    });

    test('what is kept does not hold the key', async ({ hostKeys, ann, storedBytes }, context) => {
      if (storedBytes === undefined) return context.skip('its bytes were not given');
      const key = await hostKeys.issue(ann, DEVICE);
      const bytes = Buffer.from(await storedBytes());
      assert.ok(bytes.length > 0);
      assert.equal(bytes.includes(key), false);
      assert.equal(bytes.includes(key.slice(-43)), false);
    });

    test('a key works for another process at once, and so does its end', async ({ hostKeys, ann, again }, context) => {
      if (again === undefined) return context.skip('no second one was given');
      const other = await again();
      try {
        const key = await hostKeys.issue(ann, DEVICE);
        assert.deepEqual(await other.resolve(key), ann);
        assert.deepEqual(await hostKeys.resolve(key), ann);
        assert.equal(await other.revoke(ann.id), 1);
        assert.equal(await hostKeys.resolve(key), null);
      } finally {
        await other.close?.();
      }
    });
  });
}

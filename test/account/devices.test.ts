/** App passwords and devices, with clients of the protocol. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { RawClient } from '../client/raw.ts';
import { accountServer, notice, shownSecret, words, type Visitor } from './visitor.ts';

const USERS = { Ada: 'canary-ada-1', bob: 'canary-bob-1' };

async function signedIn(visitor: () => Visitor, user: keyof typeof USERS): Promise<Visitor> {
  const person = visitor();
  assert.equal((await person.signIn(user, USERS[user])).status, 303);
  await person.get('/app-passwords');
  return person;
}

async function device(url: string, user: string, password: string, client = '26.09.3,raw,lin'): Promise<{ sync(): Promise<number> }> {
  const raw = new RawClient(url, { client });
  await raw.hostKey(user, password);
  return { sync: async () => (await raw.post('meta', { v: 11, cv: client })).status };
}

const idsOf = (text: string): string[] => [...text.matchAll(/name="id" value="([^"]+)"/g)].map((match) => match[1]!);

test('an app password is shown once, signs a client in, and ends with its devices when it is revoked', async (t) => {
  const { visitor, url, log } = await accountServer(t, { users: USERS });
  const ada = await signedIn(visitor, 'Ada');
  const created = await ada.change('/app-passwords', { name: 'my <phone>', expires: '90' });
  const password = shownSecret(created);
  assert.match(notice(created), /It is shown only once/);
  const again = await ada.get('/app-passwords');
  assert.ok(!again.text.includes(password));
  assert.match(words(again), /my &lt;phone&gt;.*never/);

  const [phone, desktop] = [await device(url, 'ada', password), await device(url, 'ada', USERS.Ada)];
  assert.deepEqual([await phone.sync(), await desktop.sync()], [200, 200]);
  const devices = await ada.get('/devices');
  assert.match(words(devices), /by app password “ my &lt;phone&gt; ”/);
  assert.equal(idsOf(devices.text).length, 2);

  const revoked = await ada.change('/app-passwords/revoke', { id: idsOf((await ada.get('/app-passwords')).text)[0]! });
  assert.match(notice(revoked), /The app password is revoked/);
  assert.deepEqual([await phone.sync(), await desktop.sync()], [403, 200]);
  assert.match(notice(await ada.change('/app-passwords/revoke', { id: 'gone' })), /no such app password any more/);
  assert.ok(log.some(({ event }) => event === 'app-password.revoked'));
  for (const entry of log) assert.ok(!JSON.stringify(entry).includes(password) && !JSON.stringify(entry).includes('canary'));
});

test('what was shown once is shown to the browser that made it, and to no other of the same person', async (t) => {
  const { visitor } = await accountServer(t, { users: USERS });
  const [one, other] = [await signedIn(visitor, 'Ada'), await signedIn(visitor, 'Ada')];
  assert.equal((await one.post('/app-passwords', { name: 'phone', expires: '' })).status, 303);
  assert.doesNotMatch((await other.get('/app-passwords')).text, /class="secret"/);
  assert.match((await one.get('/app-passwords')).text, /class="secret"/);
});

test('a name that cannot be, an end that is not offered, and one app password too many are told, and what was typed stays', async (t) => {
  const { visitor } = await accountServer(t, { users: USERS });
  const ada = await signedIn(visitor, 'Ada');
  for (const [fields, told] of [
    [{ name: ' ', expires: '' }, /it is empty/],
    [{ name: 'x'.repeat(101), expires: '' }, /longer than 100 characters/],
    [{ name: 'phone', expires: '7' }, /choose from the list/],
    [{ name: 'phone', expires: '1e9' }, /choose from the list/],
  ] as const) {
    const answer = await ada.post('/app-passwords', fields);
    assert.equal(answer.status, 400);
    assert.match(notice(answer), told);
    assert.ok(answer.text.includes(`name="name" required maxlength="100" autocomplete="off" aria-describedby="name-hint" value="${fields.name}"`));
  }
});

test('a device that is signed out on the page gets 403 at its next sync, and no other does', async (t) => {
  const { visitor, url } = await accountServer(t, { users: USERS });
  const ada = await signedIn(visitor, 'Ada');
  const phone = await device(url, 'ada', USERS.Ada, '26.09.3,raw,android');
  const desktop = await device(url, 'ada', USERS.Ada, '26.09.3,raw,win');
  const bobs = await device(url, 'bob', USERS.bob, '26.09.3,raw,mac');
  assert.deepEqual([await phone.sync(), await desktop.sync(), await bobs.sync()], [200, 200, 200]);
  const page = await ada.get('/devices');
  assert.match(words(page), /AnkiDroid/);
  assert.match(words(page), /Windows/);
  assert.doesNotMatch(words(page), /macOS/);
  assert.match(words(page), /127\.0\.0\.1/);
  const row = page.text.split('<tr>').find((each) => each.includes('AnkiDroid'))!;
  const told = await ada.change('/devices/revoke', { id: idsOf(row)[0]! });
  assert.equal(notice(told), 'The device is signed out.');
  assert.deepEqual([await phone.sync(), await desktop.sync(), await bobs.sync()], [403, 200, 200]);
});

test("nobody ends another person's devices or app passwords, or sees them", async (t) => {
  const { visitor, url } = await accountServer(t, { users: USERS });
  const [ada, bob] = [await signedIn(visitor, 'Ada'), await signedIn(visitor, 'bob')];
  const { sync } = await device(url, 'ada', USERS.Ada);
  await ada.change('/app-passwords', { name: 'canary-name', expires: '' });
  const [key] = idsOf((await ada.get('/devices')).text);
  const [password] = idsOf((await ada.get('/app-passwords')).text);
  assert.match(notice(await bob.change('/devices/revoke', { id: key! })), /no such device any more/);
  assert.match(notice(await bob.change('/devices/revoke', { id: '' })), /no such device any more/);
  assert.match(notice(await bob.change('/app-passwords/revoke', { id: password! })), /no such app password any more/);
  await bob.change('/devices/revoke-all', {});
  assert.equal(await sync(), 200);
  assert.doesNotMatch((await bob.get('/app-passwords')).text + (await bob.get('/devices')).text, /canary-name|AnkiDroid/);
  assert.deepEqual(idsOf((await ada.get('/app-passwords')).text), [password]);
});

test('signing out all devices signs out other browsers too, and not this one', async (t) => {
  const { visitor, url } = await accountServer(t, { users: USERS });
  const [here, elsewhere] = [await signedIn(visitor, 'Ada'), await signedIn(visitor, 'Ada')];
  const devices = [await device(url, 'ada', USERS.Ada), await device(url, 'ada', USERS.Ada)];
  await here.get('/devices');
  const before = here.cookie;
  assert.equal(notice(await here.change('/devices/revoke-all', {})), '2 devices signed out.');
  for (const { sync } of devices) assert.equal(await sync(), 403);
  assert.notEqual(here.cookie, before);
  assert.equal((await elsewhere.get('')).to, '/sign-in');
});

test('a server that takes no app passwords speaks of none', async (t) => {
  const { visitor } = await accountServer(t, { users: USERS, options: { appPasswords: false } });
  const ada = visitor();
  await ada.signIn('ada', USERS.Ada);
  for (const place of ['', '/devices', '/collection']) assert.doesNotMatch((await ada.get(place)).text, /app.password/i, place);
  assert.match((await ada.get('/app-passwords')).text, /Cannot GET|takes no app passwords/);
});

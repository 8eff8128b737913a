/** What administrators do. */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'node:test';
import { RawClient } from '../client/raw.ts';
import { accountServer, manage, notice, shownSecret, words, type Visitor } from './visitor.ts';

const USERS = { Ada: 'canary-ada-1', bob: 'canary-bob-1' };

async function admin(visitor: () => Visitor): Promise<Visitor> {
  const ada = visitor();
  assert.equal((await ada.signIn('ada', USERS.Ada)).status, 303);
  await ada.get('/users');
  return ada;
}

async function idOf(visitor: Visitor, name: string): Promise<string> {
  const { text } = await visitor.get(`/users?name=${encodeURIComponent(name)}`);
  return new RegExp(`users/([a-z2-7]{16})"><bdi>${name}<`, 'i').exec(text)?.[1] ?? assert.fail(`${name} is not listed`);
}

test('only administrators see users: those of the command line, and those of the option', async (t) => {
  const { visitor } = await accountServer(t, { users: { ...USERS, carol: 'canary-carol-1' }, admins: ['ada'], options: { account: { admins: ['CAROL'] } } });
  for (const [name, sees] of [['Ada', true], ['bob', false], ['carol', true]] as const) {
    const person = visitor();
    await person.signIn(name, `canary-${name.toLowerCase()}-1`);
    assert.equal(/href="[^"]*\/users"/.test((await person.get('')).text), sees, name);
    assert.equal((await person.get('/users')).status, sees ? 200 : 403);
    assert.equal((await person.post('/users', { user: `by-${name}`, password: 'x' })).status, sees ? 303 : 403);
    assert.equal((await person.get('/users/aaaaaaaaaaaaaaaa')).status === 403, !sees);
  }
});

test('users are listed with devices, last sync, sizes and the last error, and no secret', async (t) => {
  const { visitor, url } = await accountServer(t, { users: USERS, admins: ['ada'] });
  const ada = await admin(visitor);
  assert.match(words(await ada.get('/users')), /bob 0 none known – – none/);
  const client = new RawClient(url);
  await client.hostKey('bob', USERS.bob);
  assert.equal((await client.post('meta', { v: 11, cv: 'test' })).status, 200);
  assert.equal((await client.post('chunk', {}, { sessionKey: 'no-sync' })).status, 409);
  const page = await ada.get('/users');
  assert.match(words(page), /bob 1 \d+ \w+ \d+, \d\d:\d\d UTC [\d.]+ KiB 0 bytes SYNC_NOT_ACTIVE, \d+/);
  const one = await ada.get(`/users/${await idOf(ada, 'bob')}`);
  assert.match(words(one), /SYNC_NOT_ACTIVE in chunk/);
  assert.doesNotMatch(page.text + one.text, /canary|\$argon2/);
  assert.ok(!(page.text + one.text).includes(client.key));
});

test('a stranger\'s wrong passwords are not the last error of the user: they are counted as logins that were refused', async (t) => {
  const { visitor, url, log } = await accountServer(t, { users: USERS, admins: ['ada'] });
  const ada = await admin(visitor);
  const client = new RawClient(url);
  await client.hostKey('bob', USERS.bob);
  assert.equal((await client.post('chunk', {}, { sessionKey: 'no-sync' })).status, 409);
  assert.equal((await new RawClient(url).post('hostKey', { u: 'bob', p: 'a guess' })).status, 403);
  assert.equal((await visitor().signIn('bob', 'a guess')).status, 403);
  const page = await ada.get('/users');
  assert.match(words(page), /SYNC_NOT_ACTIVE, \d+/);
  assert.doesNotMatch(words(page), /PASSWORD_WRONG/);
  assert.equal(log.filter(({ event, code }) => event === 'login.refused' && code === 'PASSWORD_WRONG').length, 2);
});

test('an administrator adds a user, with a password or a made-up one that is shown once', async (t) => {
  const { visitor, base } = await accountServer(t, { users: USERS, admins: ['ada'] });
  await mkdir(join(base, 'dora'));
  const ada = await admin(visitor);
  assert.match(notice(await ada.change('/users', { user: 'carol', password: 'canary-carol-1' })), /^Added carol \.$/);
  const made = await ada.change('/users', { user: 'dora', password: '' });
  assert.match(notice(made), /with the cards that are in the folder of this name already.*shown only once/);
  const password = shownSecret(made);
  assert.doesNotMatch((await ada.get('/users')).text, new RegExp(password));
  assert.equal((await visitor().signIn('carol', 'canary-carol-1')).status, 303);
  assert.equal((await visitor().signIn('dora', password)).status, 303);
  const taken = await ada.post('/users', { user: 'BOB', password: 'x' });
  assert.deepEqual([taken.status, notice(taken)], [400, 'There is a user "bob" already.'.replaceAll('"', '&quot;')]);
  assert.match(notice(await ada.post('/users', { user: 'a\tb', password: 'x' })), /holds control characters/);
  assert.match(notice(await ada.post('/users', { user: 'eve', password: 'x'.repeat(1025) })), /longer than 1024 bytes/);
});

test('disabling shuts out browser and devices until the user is enabled again; all of it is in the log, with who did it', async (t) => {
  const { visitor, url, log } = await accountServer(t, { users: USERS, admins: ['ada'] });
  const [ada, bob] = [await admin(visitor), visitor()];
  await bob.signIn('bob', USERS.bob);
  const client = new RawClient(url);
  await client.hostKey('bob', USERS.bob);
  const change = `/users/${await idOf(ada, 'bob')}/change`;
  assert.equal(notice(await ada.change(change, { change: 'disable' })), 'The account is disabled.');
  assert.match(words(await ada.get('/users')), /bob disabled/);
  assert.equal((await client.post('meta', { v: 11, cv: 'test' })).status, 403);
  assert.equal((await bob.get('')).to, '/sign-in');
  assert.equal((await bob.signIn('bob', USERS.bob)).status, 403);
  assert.equal(notice(await ada.change(change, { change: 'enable' })), 'The account is enabled.');
  assert.equal((await client.post('meta', { v: 11, cv: 'test' })).status, 200);
  assert.ok(log.some(({ user, detail }) => user === 'Ada' && detail === 'disable: bob'));
  assert.ok(log.some(({ event, user }) => event === 'user.disabled' && user === 'bob'));
});

test('a new password, or being signed out everywhere, ends devices and browsers of that user alone', async (t) => {
  const { visitor, url } = await accountServer(t, { users: USERS, admins: ['ada'] });
  const ada = await admin(visitor);
  const change = `/users/${await idOf(ada, 'bob')}/change`;
  const signIns = async (password: string) => {
    const [browser, client] = [visitor(), new RawClient(url)];
    assert.equal((await browser.signIn('bob', password)).status, 303);
    await client.hostKey('bob', password);
    return { browser, sync: async () => (await client.post('meta', { v: 11, cv: 'test' })).status };
  };
  const first = await signIns(USERS.bob);
  assert.equal(notice(await ada.change(change, { change: 'sign-out' })), 'Signed out: 1 device, and all browsers.');
  assert.deepEqual([await first.sync(), (await first.browser.get('')).to], [403, '/sign-in']);
  const second = await signIns(USERS.bob);
  const password = shownSecret(await ada.change(change, { change: 'password', password: '' }));
  assert.deepEqual([await second.sync(), (await second.browser.get('')).to], [403, '/sign-in']);
  await signIns(password);
  await ada.change(change, { change: 'password', password: 'canary-bob-2' });
  await signIns('canary-bob-2');
  assert.equal((await ada.get('')).status, 200);
});

test('a user is removed by the name typed as it is shown, and the folder stays', async (t) => {
  const { visitor, base, url } = await accountServer(t, { users: USERS, admins: ['ada'] });
  const ada = await admin(visitor);
  const client = new RawClient(url);
  await client.hostKey('bob', USERS.bob);
  await client.post('meta', { v: 11, cv: 'test' });
  const path = `/users/${await idOf(ada, 'bob')}`;
  const wrong = await ada.post(`${path}/change`, { change: 'remove', confirm: 'bo' });
  assert.deepEqual([wrong.status, notice(wrong)], [400, 'To confirm, please type the user name exactly as it is shown.']);
  assert.match(notice(await ada.change(`${path}/change`, { change: 'remove', confirm: 'bob' })), /^Removed bob \. The cards and media stay on the disk\.$/);
  assert.ok(existsSync(join(base, 'bob', 'collection.anki2')));
  assert.equal((await client.post('meta', { v: 11, cv: 'test' })).status, 403);
  assert.doesNotMatch(words(await ada.get('/users')), /bob/);
  assert.match((await ada.post(`${path}/change`, { change: 'enable' })).text, /Cannot POST|no such user any more/);
});

test('nobody disables or removes themselves here', async (t) => {
  const { visitor } = await accountServer(t, { users: USERS, admins: ['ada'] });
  const ada = await admin(visitor);
  const path = `/users/${await idOf(ada, 'ada')}`;
  assert.doesNotMatch((await ada.get(path)).text, /name="change"/);
  for (const change of ['disable', 'remove', 'sign-out', 'password']) {
    const answer = await ada.post(`${path}/change`, { change, confirm: 'Ada', password: 'x' });
    assert.deepEqual([answer.status, notice(answer)], [400, 'Nobody changes their own account here.']);
  }
  assert.equal((await ada.get('')).status, 200);
});

test('many users come on several pages, and are found by a part of their name', async (t) => {
  const names = Array.from({ length: 30 }, (_, number) => `user-${String(number).padStart(2, '0')}`);
  const server = await accountServer(t, { users: USERS, admins: ['ada'] });
  await manage(server.base, async ({ directory }) => {
    for (const name of names) await directory.userFor(name);
  });
  const ada = await admin(server.visitor);
  const [first, second] = [words(await ada.get('/users')), words(await ada.get('/users?page=2'))];
  assert.match(first, /32 users.*Page 1 of 2 Next page/);
  assert.match(second, /Previous page Page 2 of 2/);
  assert.ok(first.includes('user-05') && !first.includes('user-29') && second.includes('user-29'));
  assert.match(words(await ada.get('/users?name=USER-1')), /10 users found/);
});

test('users of the environment or of a directory alone: nobody is added, and no password is set', async (t) => {
  const { visitor } = await accountServer(t, { options: { authenticator: ({ password }) => password === 'right', account: { admins: ['ada'] } } });
  const [ada, bob] = [visitor(), visitor()];
  await ada.signIn('ada', 'right');
  await bob.signIn('bob', 'right');
  const page = await ada.get('/users');
  assert.doesNotMatch(page.text, /Add a user/);
  assert.match(words(page), /appears here after the first sign-in/);
  const path = `/users/${await idOf(ada, 'bob')}`;
  assert.doesNotMatch((await ada.get(path)).text, /New password/);
  const refused = await ada.post(`${path}/change`, { change: 'password', password: 'x' });
  assert.deepEqual([refused.status, notice(refused)], [400, 'The password of this user is not kept here.']);
});

test('a quota is set for one user, told in sizes, and holds for devices at once; a mistyped one changes nothing', async (t) => {
  const { visitor, url } = await accountServer(t, { users: USERS, admins: ['ada'], options: { quota: { maxCollectionBytes: 5 * 1024 ** 2 } } });
  const [ada, bob] = [await admin(visitor), visitor()];
  await bob.signIn('bob', USERS.bob);
  const client = new RawClient(url);
  await client.hostKey('bob', USERS.bob);
  const message = async (): Promise<string> => ((await client.post('meta', { v: 11, cv: 'test' })).json() as { msg: string }).msg;
  assert.equal(await message(), '');
  const path = `/users/${await idOf(ada, 'bob')}`;
  assert.match(words(await ada.get(path)), /May have cards up to 5 MiB, media without limit App passwords/);

  const set = (collection: string, media: string): ReturnType<Visitor['post']> => ada.post(`${path}/change`, { change: 'quota', collection, media });
  for (const wrong of ['2 XB', '-1', '<b>']) {
    const refused = await set(wrong, '');
    assert.deepEqual([refused.status, notice(refused)], [400, 'A quota is a size, such as 200 MiB or 2 GiB; or off; or nothing.']);
  }
  assert.equal(notice(await ada.change(`${path}/change`, { change: 'quota', collection: '10k', media: 'OFF' })), 'The quota is set, from the next sync on.');
  const page = await ada.get(path);
  assert.match(words(page), /May have cards up to 10 KiB \(this user alone\), media without limit \(this user alone\)/);
  assert.match(page.text, /name="collection"[^>]* value="10 KiB"[^]*name="media"[^>]* value="off"/);
  assert.match(await message(), /^Your collection has 0\.\d MiB, and the sync server allows 0\.0 MiB/);
  assert.match(words(await ada.get('/users')), /bob over the quota 1/);
  assert.match(words(await bob.get('/collection')), /Size of the cards [\d.]+ KiB of at most 10 KiB/);

  await set('', '');
  assert.match(words(await ada.get(path)), /May have cards up to 5 MiB, media without limit App passwords/);
  assert.equal(await message(), '');
});

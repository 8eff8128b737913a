/** Nobody changes anything through somebody else's browser. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { accountServer, notice, type Visited, type Visitor } from './visitor.ts';

const ADA = { Ada: 'canary-ada-1' };

async function names(visitor: Visitor): Promise<string[]> {
  return [...(await visitor.get('/app-passwords')).text.matchAll(/<th scope="row"><bdi>([^<]*)</g)].map((match) => match[1]!);
}

test('a form without the token, with that of another session, or with one that nobody made changes nothing', async (t) => {
  const { visitor } = await accountServer(t, { users: { ...ADA, bob: 'canary-bob-1' } });
  const [ada, bob] = [visitor(), visitor()];
  await ada.signIn('ada', ADA.Ada);
  await bob.signIn('bob', 'canary-bob-1');
  await ada.get('/app-passwords');
  const before = ada.csrf;
  await bob.get('/app-passwords');
  for (const csrf of ['', 'x', bob.csrf, ada.cookie.split('=')[1]!, before.slice(1), 'a'.repeat(43)]) {
    const answer = await ada.post('/app-passwords', { csrf, name: 'planted', expires: '' });
    assert.equal(answer.status, 403);
    assert.match(notice(answer), /This form was too old, so nothing was done/);
  }
  assert.deepEqual(await names(ada), []);
  await ada.get('/app-passwords');
  assert.equal((await ada.post('/app-passwords', { name: 'mine', expires: '' })).status, 303);
  assert.deepEqual(await names(ada), ['mine']);
});

test('a form that browsers say comes from another site changes nothing, even with the right token', async (t) => {
  const { visitor, url } = await accountServer(t, { users: ADA });
  const ada = visitor();
  await ada.signIn('ada', ADA.Ada);
  await ada.get('/app-passwords');
  const foreign: Record<string, string>[] = [
    { origin: 'https://evil.example' },
    { origin: 'http://127.0.0.1:1' },
    { origin: 'not a URL' },
    { 'sec-fetch-site': 'cross-site' },
    { 'sec-fetch-site': 'same-site', origin: 'null' },
  ];
  for (const headers of foreign) {
    const answer = await ada.post('/app-passwords', { name: 'planted', expires: '' }, headers);
    assert.deepEqual([answer.status, notice(answer)], [403, 'This form was sent by another page, so nothing was done.'], JSON.stringify(headers));
  }
  assert.deepEqual(await names(ada), []);
  const own: Record<string, string>[] = [{ origin: new URL(url).origin, 'sec-fetch-site': 'same-origin' }, { origin: 'null', 'sec-fetch-site': 'same-origin' }, { origin: 'null' }];
  for (const headers of own) assert.equal((await ada.post('/app-passwords', { name: 'mine', expires: '' }, headers)).status, 303);
});

test('behind a proxy that gives another name of the host, the public URL says whose forms are ours', async (t) => {
  const { visitor } = await accountServer(t, { users: ADA, options: { publicUrl: 'https://example.org/anki' } });
  const ada = visitor();
  await ada.get('/sign-in');
  const fields = { user: 'ada', password: ADA.Ada };
  assert.equal((await ada.post('/sign-in', fields, { origin: 'https://evil.example' })).status, 403);
  assert.equal((await ada.post('/sign-in', fields, { origin: 'https://example.org' })).status, 303);
});

test('nobody is signed in as somebody else by a form of another site, which has no cookie of ours to go with it', async (t) => {
  const { visitor } = await accountServer(t, { users: ADA });
  const [thief, victim] = [visitor(), visitor()];
  await thief.get('/sign-in');
  const answer = await victim.post('/sign-in', { csrf: thief.csrf, user: 'ada', password: ADA.Ada });
  assert.equal(answer.status, 403);
  // nor does it sign anybody out, by another cookie in place of theirs
  assert.equal(answer.headers.get('set-cookie'), null);
  assert.match(notice(answer), /did not send the cookie of this page\. Please allow cookies/);
  assert.equal((await victim.get('')).to, '/sign-in');
});

test('nothing is changed by GET, and what is sent by other methods is refused', async (t) => {
  const { visitor } = await accountServer(t, { users: ADA, admins: ['ada'] });
  const ada = visitor();
  await ada.signIn('ada', ADA.Ada);
  for (const path of ['/sign-out', '/app-passwords/revoke?id=x', '/devices/revoke-all', '/collection/download', '/users/x/change']) {
    assert.equal((await ada.get(path)).status, 303, path);
  }
  assert.equal((await ada.get('')).status, 200);
  for (const method of ['PUT', 'DELETE', 'PATCH', 'OPTIONS']) {
    const answer: Visited = await ada.send(method, '/delete');
    assert.deepEqual([answer.status, notice(answer)], [405, 'Pages are read by GET, and changed by POST.']);
  }
  assert.equal((await ada.send('HEAD', '')).status, 200);
});

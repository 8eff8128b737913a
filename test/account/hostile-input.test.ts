/** What no browser of a friendly person sends: into every field, address and cookie. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { expressSync } from '../../adapters/express/index.ts';
import type { SyncServer } from '../../lib/index.ts';
import { accountServer, notice, type Visited, type Visitor } from './visitor.ts';

const USERS = { Ada: 'canary-ada-1', bob: 'canary-bob-1' };
const plainMount = (sync: SyncServer) => ({ listener: expressSync(sync), path: '/' });

const HOSTILE: readonly (readonly [what: string, text: string])[] = [
  ['markup', `"><script>alert(1)</script><img src=x onerror=alert(1)>`],
  ['markup in single quotes', `'><svg/onload=alert(1)>`],
  ['a turn of direction', 'invoice\u202egpj.exe'],
  ['NUL', 'a\u0000b'],
  ['half a character', '\ud800'],
  ['a header', 'x\r\nSet-Cookie: planted=1\r\n\r\n<script>'],
  ['a template', '${7*7}{{7*7}}<%= 7*7 %>'],
  ['SQL', `x'; DROP TABLE users; --`],
  ['a path', '../../../../etc/passwd'],
  ['a name of every object', '__proto__'],
  ['much', 'long'.repeat(3000)],
  ['too much', 'x'.repeat(10 * 1024 * 1024)],
  ['nothing', ''],
];

/** Whatever was sent, the page is one of ours, and holds none of it as markup. */
function requireHarmless(answer: Visited, what: string): void {
  const { status, headers, text } = answer;
  assert.ok(status < 500, `${what}: ${status} ${notice(answer)}`);
  assert.equal(headers.get('set-cookie')?.includes('planted') ?? false, false, what);
  assert.doesNotMatch(text, /<script(?! src="\/account\/account\.js)|<img|<svg\/|onerror=alert\(1\)>|\u0000|\u202e/i, what);
  if (status === 303) return;
  assert.match(headers.get('content-type')!, /^text\/html; charset=utf-8$/, what);
  if (status >= 400) assert.notEqual(notice(answer), '', `${what}: ${status} without a word`);
}

const FIELDS: readonly (readonly [path: string, fields: Record<string, string>])[] = [
  ['/sign-in', { user: 'ada', password: 'wrong' }],
  ['/app-passwords', { name: 'phone', expires: '' }],
  ['/app-passwords/revoke', { id: 'x' }],
  ['/devices/revoke', { id: 'x' }],
  ['/delete', { confirm: 'x', password: 'wrong' }],
  ['/users', { user: 'carol', password: 'canary-carol-1' }],
];

async function signedIn(visitor: () => Visitor): Promise<Visitor> {
  const ada = visitor();
  assert.equal((await ada.signIn('ada', USERS.Ada)).status, 303);
  await ada.get('/users');
  return ada;
}

test('whatever stands in a field of a form, the answer is a page of ours with a word about it, and none of it is markup', async (t) => {
  const { visitor, log } = await accountServer(t, { users: USERS, admins: ['ada'], mount: plainMount, options: { loginLimits: false } });
  let ada = await signedIn(visitor);
  const bob = /users\/([a-z2-7]{16})"><bdi>bob/.exec((await ada.get('/users')).text)![1]!;
  const forms = [...FIELDS, ...['disable', 'enable', 'password', 'remove', 'nothing'].map((change) => [`/users/${bob}/change`, { change, confirm: 'x' }] as const)];
  for (const [path, fields] of forms) {
    for (const field of [...Object.keys(fields), 'csrf', 'unknown']) {
      for (const [what, text] of HOSTILE) {
        // an empty password of a new user is made up, and an empty choice is one
        if (text === '' && (path === '/users' || path === '/app-passwords' || field === 'unknown')) continue;
        if (field === 'password' && (path === '/users' || path.endsWith('/change'))) continue;
        // megabytes once for each form
        if (what === 'too much' && (field !== 'csrf' || path.startsWith('/users/'))) continue;
        const csrf = ada.csrf;
        const answer = await ada.post(path, { ...fields, [field]: text });
        ada.csrf = csrf;
        requireHarmless(answer, `${path} ${field}: ${what}`);
        if (answer.status === 303) requireHarmless(await ada.get(answer.to!), `${path} ${field}: ${what}, and then`);
        if (path === '/sign-in' && answer.status === 303) ada = await signedIn(visitor);
      }
    }
  }
  assert.ok(log.length > 300);
  for (const entry of log) {
    assert.ok(entry.level !== 'error', JSON.stringify(entry).slice(0, 500));
    assert.doesNotMatch(JSON.stringify(entry), /canary/);
  }
});

test('whatever stands in an address, the answer is a page of ours, and none of it is markup', async (t) => {
  const { visitor } = await accountServer(t, { users: USERS, admins: ['ada'], mount: plainMount });
  const ada = await signedIn(visitor);
  for (const [what, text] of HOSTILE) {
    // node:http refuses longer heads itself
    const typed = encodeURIComponent(text.toWellFormed().slice(0, 4000));
    for (const path of [`/${typed}`, `/users/${typed}`, `/users/${typed}/change`, `/oidc/${typed}`, `/oidc/${typed}/callback?code=${typed}&state=${typed}`, `/users?name=${typed}&page=${typed}`, `/collection?${typed}=${typed}`]) {
      requireHarmless(await ada.get(path), `${path.slice(0, 60)}: ${what}`);
    }
  }
  for (const path of ['/%ff', '/users/%zz', '/..%2f..%2fetc', '//evil.example', '/users?page=-1', '/users?page=1e99', '/users?page=NaN']) requireHarmless(await ada.get(path), path);
});

test('whatever stands in a cookie or another header, nobody is signed in by it', async (t) => {
  const { visitor } = await accountServer(t, { users: USERS, mount: plainMount });
  const token = 'a'.repeat(43);
  const cookies = ['', 'anki-account', 'anki-account=', 'anki-account=x', `anki-account=${token}`, `anki-account=${token}.`, `anki-account=${token}.${'b'.repeat(2000)}`,
    `anki-account=${token}.b.c`, `anki-account="${token}"`, `ANKI-ACCOUNT=${token}`, ';;;=;=', `anki-account=${"'; DROP TABLE page_sessions;--"}`];
  for (const cookie of cookies) {
    const guest = visitor();
    guest.cookie = cookie;
    const answer = await guest.get('/devices');
    assert.deepEqual([answer.status, answer.to], [303, '/sign-in'], cookie);
    requireHarmless(await guest.get('/sign-in'), cookie);
  }
});

test('the name of the host is shown as text', async (t) => {
  const { sync } = await accountServer(t, { users: USERS, mount: plainMount });
  const response = await sync.handle({ method: 'GET', url: '/account/sign-in', headers: { host: '"><script>alert(1)</script>' }, body: null });
  assert.equal(response.status, 200);
  assert.doesNotMatch(Buffer.from(response.body as Uint8Array).toString(), /<script>/);
});

test('a form of another kind, one field twice, and fields without end are refused in words', async (t) => {
  const { visitor } = await accountServer(t, { users: USERS, mount: plainMount });
  const ada = visitor();
  await ada.get('/sign-in');
  const send = (type: string, body: string): Promise<Visited> => ada.send('POST', '/sign-in', body, { 'content-type': type });
  const form = 'application/x-www-form-urlencoded';
  const answers = [
    await send('application/json', JSON.stringify({ csrf: ada.csrf, user: 'ada', password: USERS.Ada })),
    await send('multipart/form-data; boundary=x', `--x\r\ncontent-disposition: form-data; name="csrf"\r\n\r\n${ada.csrf}\r\n--x--`),
    await send(form, `csrf=${ada.csrf}&user=ada&user=bob&password=x`),
    await send(form, `csrf=${ada.csrf}&${Array.from({ length: 60 }, (_, number) => `f${number}=`).join('&')}`),
    await send(form, `csrf=${ada.csrf}&user=%ff%fe&password=x`),
    await send(form, `csrf=${ada.csrf}&user=${'a'.repeat(20_000)}`),
    await send(form, ''),
  ];
  assert.deepEqual(answers.map(({ status }) => status), [415, 415, 400, 400, 400, 413, 403]);
  for (const answer of answers) requireHarmless(answer, String(answer.status));
});

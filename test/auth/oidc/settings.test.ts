import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkOidcOptions, type OidcOptions } from '../../../lib/auth/oidc/settings.ts';
import { createSyncServer } from '../../../lib/index.ts';

const GIVEN: OidcOptions = { issuer: 'https://login.example.org/realms/example', clientId: 'anki' };
const checked = (more: object = {}) => checkOidcOptions([{ ...GIVEN, ...more }])[0]!;

test('issuer and client are enough', () => {
  const { id, name, scope, groupsClaim, timeoutMillis, clockToleranceSecs, linkExistingUsers, trustEmail, reloginDays } = checked();
  assert.deepEqual([id, name, scope, groupsClaim, timeoutMillis, clockToleranceSecs], ['oidc', 'login.example.org', 'openid profile email', 'groups', 5000, 30]);
  assert.deepEqual([linkExistingUsers, trustEmail, reloginDays], [false, false, undefined]);
});

test('openid is always among the scopes, once', () => {
  assert.equal(checked({ scopes: ['profile'] }).scope, 'openid profile');
  assert.equal(checked({ scopes: ['profile', 'openid'] }).scope, 'openid profile');
});

test('https, but for the machine itself', () => {
  for (const host of ['localhost', 'localhost:8080', '127.0.0.1:9', '127.1.2.3', '[::1]:9']) assert.ok(checked({ issuer: `http://${host}/realm` }));
  for (const host of ['login.example.org', '10.0.0.1', '127.0.0.1.example.org', 'localhost.example.org', '[::2]']) {
    assert.throws(() => checked({ issuer: `http://${host}` }), /use https/, host);
  }
});

test('what cannot be is refused with the name of the option, and no secret is repeated', () => {
  const cases: [object, RegExp][] = [
    [{ issuer: undefined }, /issuer is missing/],
    [{ issuer: 'ftp://login.example.org' }, /issuer must be a URL/],
    [{ issuer: 'https://user:canary@login.example.org' }, /no user name and password/],
    [{ issuer: 'https://login.example.org?x=canary' }, /no query/],
    [{ clientId: '' }, /clientId is missing/],
    [{ clientSecret: '' }, /clientSecret must be a text, and not an empty one/],
    [{ clientSecret: 5 }, /clientSecret must be a text/],
    [{ scopes: 'openid profile' }, /scopes must be a list/],
    [{ scopes: ['openid profile'] }, /one scope in each element/],
    [{ allowedGroups: [] }, /allowedGroups must be a list of texts, and not an empty one/],
    [{ allowedGroups: 'learners' }, /allowedGroups must be a list/],
    [{ allowedDomains: ['*.example.org'] }, /allowedDomains must be like/],
    [{ requiredClaims: { a: [] } }, /requiredClaims: a must be/],
    [{ requiredClaims: ['a'] }, /requiredClaims must be an object/],
    [{ claim: 'a', loginName: () => 'b' }, /claim or loginName, not both/],
    [{ loginName: 'a' }, /loginName must be a function/],
    [{ reloginDays: -1 }, /reloginDays must be a number from 0/],
    [{ linkExistingUsers: 'yes' }, /linkExistingUsers must be true or false/],
    [{ clientAuthentication: 'jwt', clientSecret: 'canary' }, /clientAuthentication must be basic or post/],
    [{ extraParameters: { state: 'x' } }, /extraParameters cannot set state/],
    [{ id: '../admin' }, /id must be made of/],
    [{ id: 'a'.repeat(41) }, /id must be made of/],
    [{ alowedGroups: ['a'] }, /unknown OIDC option "alowedGroups"\. Did you mean allowedGroups\?/],
  ];
  for (const [more, words] of cases) {
    assert.throws(() => checked(more), (error: Error) => error instanceof TypeError && words.test(error.message) && !error.message.includes('canary'), String(words));
  }
});

test('several have names of their own', () => {
  assert.throws(() => checkOidcOptions([GIVEN, GIVEN]), /each needs an id/);
  assert.throws(() => checkOidcOptions([{ ...GIVEN, id: 'a' }, { ...GIVEN, id: 'a' }]), /two providers have the id "a"/);
});

test('a server refuses them at once', () => {
  assert.throws(() => createSyncServer({ oidc: [{ ...GIVEN, clientId: '' }] }), /OIDC: clientId is missing/);
  assert.throws(() => createSyncServer({ oidc: [GIVEN] }), /needs the account page/);
  assert.throws(() => createSyncServer({ oidc: GIVEN as never }), /option "oidc" must be a list of providers/);
  assert.throws(() => createSyncServer({ account: true, oidc: [GIVEN], environmentUsers: [{}] as never }), /users of the environment alone may sign in/);
});

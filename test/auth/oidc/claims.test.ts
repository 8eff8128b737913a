import assert from 'node:assert/strict';
import { test } from 'node:test';
import { claimAt, judgedClaims, wantedClaims } from '../../../lib/auth/oidc/claims.ts';
import { checkOidcOptions, type OidcOptions } from '../../../lib/auth/oidc/settings.ts';

const settings = (more: Partial<OidcOptions> = {}) =>
  checkOidcOptions([{ id: 'example', name: 'Example Ltd', issuer: 'https://login.example.org', clientId: 'anki', ...more }])[0]!;

/** The user name, or why not. */
function judged(claims: Record<string, unknown>, more: Partial<OidcOptions> = {}): string {
  const verdict = judgedClaims(settings(more), { sub: '1', ...claims });
  if ('loginName' in verdict) return verdict.loginName;
  assert.match(verdict.words, /^Your account at Example Ltd /);
  return verdict.reason;
}

const ADA = { preferred_username: 'ada', email: 'ada@example.org', email_verified: true };

test('the name: preferred_username, or else an email that the provider has verified', () => {
  assert.equal(judged(ADA), 'ada');
  assert.equal(judged({ ...ADA, preferred_username: undefined }), 'ada@example.org');
  assert.equal(judged({ email: 'ada@example.org', email_verified: 'true' }), 'ada@example.org');
  for (const email_verified of [false, 'false', undefined, null, 1, 'yes']) {
    assert.match(judged({ email: 'ada@example.org', email_verified }), /neither preferred_username nor a verified email/);
  }
  assert.equal(judged({ email: 'ada@example.org' }, { dangerouslyTrustEmail: true }), 'ada@example.org');
  assert.match(judged({}), /neither/);
});

test('a claim of your own choice, in objects too, has to be there and be a name', () => {
  assert.equal(judged({ upn: 'ada@example.org' }, { claim: 'upn' }), 'ada@example.org');
  assert.equal(judged({ person: { number: 4711 } }, { claim: 'person.number' }), '4711');
  assert.match(judged(ADA, { claim: 'upn' }), /the claim upn is missing/);
  for (const upn of ['', [], {}, true, null, ['ada']]) assert.match(judged({ ...ADA, upn }, { claim: 'upn' }), /the claim upn is no text/);
  assert.match(judged({ email: 'ada@example.org' }, { claim: 'email' }), /the email is not verified/);
  assert.equal(judged(ADA, { claim: 'email' }), 'ada@example.org');
});

test('a name that cannot be a user name is refused', () => {
  for (const name of [' ', 'ada\nroot', 'x'.repeat(256), '\ud800']) assert.match(judged({ preferred_username: name }), /cannot be a user name/);
  assert.equal(judged({ preferred_username: ' ada ' }), 'ada');
  // a folder of its own is chosen for it, elsewhere
  assert.equal(judged({ preferred_username: '../../etc' }), '../../etc');
});

test('loginName() makes the name of all claims, or says no', () => {
  assert.equal(judged(ADA, { loginName: (claims) => `${String(claims.preferred_username)}@portal` }), 'ada@portal');
  assert.match(judged(ADA, { loginName: () => null }), /answered null/);
  assert.match(judged(ADA, { loginName: (() => undefined) as never }), /answered no text/);
  assert.match(judged(ADA, { loginName: () => '' }), /cannot be a user name/);
});

test('groups: one of them is enough, as a list or as one text, and none is no', () => {
  const only = { allowedGroups: ['learners', 'staff'] };
  assert.equal(judged({ ...ADA, groups: ['other', 'staff'] }, only), 'ada');
  assert.equal(judged({ ...ADA, groups: 'staff' }, only), 'ada');
  for (const groups of [[], 'other', ['Staff'], ['staff '], null, {}, [['staff']]]) assert.match(judged({ ...ADA, groups }, only), /in none of allowedGroups/);
  assert.match(judged(ADA, only), /the claim groups is missing/);
  assert.equal(judged({ ...ADA, realm_access: { roles: ['staff'] } }, { ...only, groupsClaim: 'realm_access.roles' }), 'ada');
  assert.equal(judged({ ...ADA, 'https://example.org/roles': ['staff'] }, { ...only, groupsClaim: 'https://example.org/roles' }), 'ada');
  assert.match(judged({ ...ADA, _claim_names: { groups: 'src1' } }, only), /too many groups/);
});

test('domains: the whole domain of a verified address, whatever its case', () => {
  const only = { allowedDomains: ['Example.org'] };
  assert.equal(judged(ADA, only), 'ada');
  assert.equal(judged({ ...ADA, email: 'ada@EXAMPLE.ORG' }, only), 'ada');
  for (const email of ['ada@example.org.evil.example', 'ada@evilexample.org', 'ada@sub.example.org', 'example.org', 'ada@example.org@evil.example', '']) {
    assert.match(judged({ ...ADA, email }, only), /none of allowedDomains|no verified email/, email);
  }
  assert.match(judged({ ...ADA, email_verified: false }, only), /no verified email/);
  assert.match(judged({ preferred_username: 'ada' }, only), /no verified email/);
});

test('at Google it is the domain that manages the account, and not that of the address', () => {
  const google = { issuer: 'https://accounts.google.com', allowedDomains: ['example.org'], claim: 'email' };
  assert.equal(judged({ ...ADA, hd: 'example.org' }, google), 'ada@example.org');
  assert.match(judged(ADA, google), /hd is missing/);
  assert.match(judged({ ...ADA, hd: 'other.example' }, google), /none of allowedDomains/);
});

test('required claims: all of them, by value and kind', () => {
  const both = { requiredClaims: { department: ['languages', 'music'], active: true, level: 5 } };
  assert.equal(judged({ ...ADA, department: 'music', active: true, level: 5 }, both), 'ada');
  assert.equal(judged({ ...ADA, department: ['sports', 'languages'], active: true, level: 5 }, both), 'ada');
  assert.match(judged({ ...ADA, department: 'music', active: 'true', level: 5 }, both), /active is none of the required/);
  assert.match(judged({ ...ADA, department: 'music', active: true, level: '5' }, both), /level is none/);
  assert.match(judged({ ...ADA, active: true, level: 5 }, both), /department is missing/);
});

test('how the person signed in', () => {
  assert.equal(judged({ ...ADA, acr: '2' }, { acrValues: ['2', '3'] }), 'ada');
  assert.match(judged({ ...ADA, acr: '1' }, { acrValues: ['2', '3'] }), /acr/);
  assert.match(judged(ADA, { acrValues: ['2'] }), /acr/);
});

test('words for the person tell nothing that the person did not bring, and the log says which rule it was', () => {
  const verdict = judgedClaims(settings({ allowedGroups: ['secret-project'] }), { sub: '1', ...ADA, groups: ['other'] });
  assert.deepEqual(verdict, { words: 'Your account at Example Ltd is in none of the groups that may sign in here.', reason: 'example: in none of allowedGroups' });
});

test('names of claims are looked up among the claims alone', () => {
  assert.equal(claimAt({ sub: '1' }, 'constructor'), undefined);
  assert.equal(claimAt({ sub: '1' }, 'sub.length'), undefined);
  assert.equal(claimAt({ a: { b: 1 } }, 'a.constructor'), undefined);
  assert.equal(claimAt({ 'a.b': 2, a: { b: 1 } }, 'a.b'), 2);
});

test('what is looked at is asked for', () => {
  assert.deepEqual(wantedClaims(settings()), ['preferred_username']);
  assert.deepEqual(wantedClaims(settings({ claim: 'email', allowedGroups: ['a'], requiredClaims: { x: 1 } })), ['email', 'email_verified', 'groups', 'x']);
  assert.deepEqual(wantedClaims(settings({ allowedDomains: ['example.org'] })), ['preferred_username', 'email', 'email_verified']);
});

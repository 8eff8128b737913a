/** The examples of docs/oidc.md, as they stand there but for the file of the secret, with claims as such providers send them. */
import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { judgedClaims } from '../../../lib/auth/oidc/claims.ts';
import { checkOidcOptions, type OidcOptions, type OidcSettings } from '../../../lib/auth/oidc/settings.ts';
import { oidcSettings } from '../../../lib/cli/oidc-settings.ts';
import { checkOptions } from '../../../lib/options.ts';
import { ROOT } from '../../package/project-copy.ts';
import { CLIENT, RealProvider } from './provider.ts';
import { failure, page as pageOf, REDIRECT_URI, signIn } from './sign-in.ts';

const page = await readFile(join(ROOT, 'docs/oidc.md'), 'utf8');
const folder = await mkdtemp(join(tmpdir(), 'anki-sync-oidc-examples-'));
after(() => rm(folder, { recursive: true, force: true }));
await writeFile(join(folder, 'secret'), `${CLIENT.secret}\n`);

/** The variables of the first block below a heading. */
function example(heading: string): OidcOptions[] {
  const block = page.split(`### ${heading}\n`)[1]?.split('```sh\n')[1]?.split('```')[0] ?? '';
  const env: Record<string, string> = {};
  for (const [, name = '', quoted, plain = ''] of block.matchAll(/^(\w+)=(?:'(.*)'|(.*))$/gm)) env[name] = quoted ?? plain;
  assert.ok(Object.keys(env).length > 3, heading);
  const { PUBLIC_URL: publicUrl, ...others } = env;
  assert.equal(checkOptions({ publicUrl: publicUrl! }).publicUrl, 'https://example.org/anki/');
  for (const name of Object.keys(others)) if (name.endsWith('_FILE')) others[name] = join(folder, 'secret');
  return oidcSettings(others);
}

const settings = (heading: string): OidcSettings => checkOidcOptions(example(heading))[0]!;

/** The user name, or why not. */
function judged(heading: string, claims: Record<string, unknown>): string {
  const verdict = judgedClaims(settings(heading), { sub: '1', ...claims });
  return 'loginName' in verdict ? verdict.loginName : verdict.reason;
}

test('Keycloak: groups by a mapper, or roles of the realm', () => {
  const ada = { preferred_username: 'ada', email: 'ada@example.org', email_verified: false };
  assert.equal(judged('Keycloak', { ...ada, groups: ['learners'] }), 'ada');
  assert.match(judged('Keycloak', { ...ada, groups: ['/learners'] }), /none of allowedGroups/);
  assert.match(judged('Keycloak', { ...ada, groups: [] }), /none of allowedGroups/);
  assert.match(judged('Keycloak', { ...ada, realm_access: { roles: ['learners'] } }), /the claim groups is missing/);
});

test('the redirect URI of the text is the one of its example', () => {
  assert.ok(page.includes(`https://example.org/anki/account/oidc/${settings('Keycloak').id}/callback`));
  assert.equal(settings('Another provider').id, 'oidc');
});

test('Entra ID: the name is the principal name, roles let in, and an issuer for everybody is refused', () => {
  const ada = { preferred_username: 'ada@example.org', email: 'root@example.org', tid: '00000000-1111-2222-3333-444444444444' };
  assert.equal(judged('Entra ID', { ...ada, roles: ['Anki.User'] }), 'ada@example.org');
  assert.match(judged('Entra ID', ada), /roles is missing/);
  for (const tenant of ['common', 'organizations', 'consumers']) {
    const [options] = example('Entra ID');
    assert.throws(() => checkOidcOptions([{ ...options!, issuer: `https://login.microsoftonline.com/${tenant}/v2.0` }]), /has to name the tenant/);
  }
});

test('Authentik: groups by name, spaces and all, and the slash at the end of the issuer stays', () => {
  assert.equal(judged('Authentik', { preferred_username: 'ada', groups: ['Anki learners'] }), 'ada');
  assert.match(judged('Authentik', { preferred_username: 'ada', groups: ['learners'] }), /none of allowedGroups/);
  assert.equal(settings('Authentik').issuer.href, 'https://authentik.example.org/application/o/anki-sync/');
});

test('Google: accounts of the domain, and nobody else', () => {
  const ada = { email: 'ada@example.org', email_verified: true };
  assert.equal(judged('Google', { ...ada, hd: 'example.org' }), 'ada@example.org');
  assert.match(judged('Google', ada), /hd is missing/);
  assert.match(judged('Google', { ...ada, hd: 'example.net' }), /none of allowedDomains/);
  assert.deepEqual([settings('Google').prompt, settings('Google').extraParameters], ['select_account', { hd: 'example.org' }]);
});

test('several providers', () => {
  assert.deepEqual(checkOidcOptions(example('Several providers')).map(({ id, name }) => [id, name]), [['staff', 'Staff'], ['students', 'Students']]);
});

test('Keycloak and another provider, with a real one in their place', async (t) => {
  const real = await RealProvider.start([REDIRECT_URI]);
  t.after(() => real.close());
  for (const heading of ['Keycloak', 'Another provider']) {
    // the groups of the real one have a scope of their own
    const at = await pageOf(t, { ...example(heading)[0]!, issuer: real.issuer, scopes: ['openid', 'profile', 'email', 'groups'] });
    assert.equal((await signIn(at, 'ada')).user.loginName, 'ada');
    await failure(signIn(at, 'bob'), 'refused', real.secrets);
  }
});

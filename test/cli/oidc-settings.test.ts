import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { checkOidcOptions, type OidcOptions } from '../../lib/auth/oidc/settings.ts';
import { inOidcVariables, oidcSettings, oidcVariables } from '../../lib/cli/oidc-settings.ts';
import { UsageError } from '../../lib/cli/usage-error.ts';
import { ROOT } from '../package/project-copy.ts';
import { ankiSync } from './command.ts';

const folder = mkdtempSync(join(tmpdir(), 'anki-sync-oidc-settings-'));
after(() => rmSync(folder, { recursive: true, force: true }));
writeFileSync(join(folder, 'secret'), 'canary-from-a-file\n');

const NEEDED = { OIDC_ISSUER: 'https://login.example.org', OIDC_CLIENT_ID: 'anki' };
const wrong = (words: RegExp) => (error: unknown) => error instanceof UsageError && words.test(error.message);

test('nothing said, nothing there; empty variables are as none', () => {
  assert.deepEqual(oidcSettings({ PATH: '/bin', OIDC_ISSUER: '' }), []);
});

test('one provider: each variable is the option of its name', () => {
  const [options] = oidcSettings({
    ...NEEDED,
    OIDC_ID: 'login', OIDC_NAME: 'Example Ltd', OIDC_CLIENT_SECRET_FILE: join(folder, 'secret'), OIDC_CLIENT_AUTHENTICATION: 'post', OIDC_SCOPES: 'openid profile, groups',
    OIDC_CLAIM: 'upn', OIDC_ALLOWED_GROUPS: 'learners, Anki users', OIDC_GROUPS_CLAIM: 'roles', OIDC_ALLOWED_DOMAINS: 'example.org,example.net',
    OIDC_REQUIRED_CLAIMS: 'department=languages, department=music, active=true, level=5', OIDC_DANGEROUSLY_TRUST_EMAIL: 'yes', OIDC_LINK_EXISTING_USERS: '1',
    OIDC_RELOGIN_DAYS: '90', OIDC_PROMPT: 'login', OIDC_MAX_AGE_SECS: '600', OIDC_ACR_VALUES: '2 3', OIDC_EXTRA_PARAMETERS: 'hd=example.org, ui_locales=de en',
    OIDC_TIMEOUT_SECS: '2.5', OIDC_CLOCK_TOLERANCE_SECS: '5',
  });
  assert.deepEqual(options, {
    id: 'login', name: 'Example Ltd', issuer: 'https://login.example.org', clientId: 'anki', clientSecret: 'canary-from-a-file', clientAuthentication: 'post',
    scopes: ['openid', 'profile', 'groups'], claim: 'upn', allowedGroups: ['learners', 'Anki users'], groupsClaim: 'roles', allowedDomains: ['example.org', 'example.net'],
    requiredClaims: { department: ['languages', 'music'], active: ['true', true], level: ['5', 5] }, dangerouslyTrustEmail: true, linkExistingUsers: true, reloginDays: 90,
    prompt: 'login', maxAgeSecs: 600, acrValues: ['2', '3'], extraParameters: { hd: 'example.org', ui_locales: 'de en' }, timeoutMillis: 2500, clockToleranceSecs: 5,
  });
  checkOidcOptions([options!]);
});

test('with semicolons, names may have commas', () => {
  assert.deepEqual(oidcSettings({ ...NEEDED, OIDC_ALLOWED_GROUPS: 'cn=a,ou=groups; cn=b,ou=groups' })[0]!.allowedGroups, ['cn=a,ou=groups', 'cn=b,ou=groups']);
});

test('several providers have numbers, and their order', () => {
  const numbered = (number: number) => ({ [`OIDC_${number}_ISSUER`]: `https://login${number}.example.org`, [`OIDC_${number}_CLIENT_ID`]: 'anki' });
  const all = oidcSettings({ ...numbered(10), ...numbered(2), ...numbered(1) });
  assert.deepEqual(all.map(({ id, issuer }) => [id, issuer]), [1, 2, 10].map((number) => [`oidc-${number}`, `https://login${number}.example.org`]));
  checkOidcOptions(all);
  assert.throws(() => oidcSettings({ ...NEEDED, ...numbered(1) }), wrong(/OIDC_… and OIDC_1_… are both set/));
  assert.throws(() => oidcSettings({ ...numbered(1), OIDC_2_CLAIM: 'upn' }), wrong(/OIDC_2_CLAIM is set, but OIDC_2_ISSUER is not/));
});

test('what is missing, doubled, misspelled or cannot be is told by its variable, and no secret is repeated', () => {
  const cases: [Record<string, string>, RegExp][] = [
    [{ OIDC_CLIENT_ID: 'x' }, /^OIDC_CLIENT_ID is set, but OIDC_ISSUER is not/],
    [{ OIDC_ISSUER: 'https://x.example' }, /^OIDC_ISSUER is set, but OIDC_CLIENT_ID is not/],
    [{ ...NEEDED, OIDC_ALLOWED_GROUP: 'learners' }, /^unknown variable OIDC_ALLOWED_GROUP\. Did you mean OIDC_ALLOWED_GROUPS\?/],
    [{ ...NEEDED, OIDC_CLIENT_SECRET: 'canary-a', OIDC_CLIENT_SECRET_FILE: '/x' }, /are both set/],
    [{ ...NEEDED, OIDC_CLIENT_SECRET_FILE: '/nowhere/secret' }, /OIDC_CLIENT_SECRET_FILE names a file that cannot be read \(ENOENT\)/],
    [{ ...NEEDED, OIDC_LINK_EXISTING_USERS: 'maybe' }, /OIDC_LINK_EXISTING_USERS must be true or false/],
    [{ ...NEEDED, OIDC_RELOGIN_DAYS: '-1' }, /OIDC_RELOGIN_DAYS must be a number/],
    [{ ...NEEDED, OIDC_REQUIRED_CLAIMS: 'department' }, /must be like name=value/],
  ];
  for (const [env, words] of cases) {
    assert.throws(() => oidcSettings(env), (error: Error) => wrong(words)(error) && !error.message.includes('canary'), String(words));
  }
});

test('what the options say, in the words of variables', () => {
  const told = (env: Record<string, string>): string => {
    try {
      checkOidcOptions(oidcSettings({ ...NEEDED, ...env }));
    } catch (error) {
      return inOidcVariables((error as Error).message);
    }
    return 'nothing';
  };
  assert.match(told({ OIDC_ISSUER: 'http://login.example.org' }), /would send codes and secrets unencrypted/);
  assert.match(told({ OIDC_ISSUER: 'login.example.org' }), /^OIDC_ISSUER must be a URL/);
  assert.match(told({ OIDC_GROUPS_CLAIM: 'roles' }), /^OIDC_GROUPS_CLAIM without OIDC_ALLOWED_GROUPS/);
  assert.match(told({ OIDC_ALLOWED_DOMAINS: '@example.org' }), /^OIDC_ALLOWED_DOMAINS must be like example\.org/);
  assert.match(told({ OIDC_CLIENT_AUTHENTICATION: 'basic' }), /^OIDC_CLIENT_AUTHENTICATION without OIDC_CLIENT_SECRET/);
  assert.match(told({ OIDC_EXTRA_PARAMETERS: 'redirect_uri=https://evil.example' }), /^OIDC_EXTRA_PARAMETERS cannot set redirect_uri/);
  assert.match(told({ OIDC_ID: 'Example Ltd' }), /must be made of lower-case letters/);
  assert.match(told({ OIDC_ISSUER: 'https://login.example.org/.well-known/openid-configuration' }), /without \/\.well-known/);
});

test('serve refuses them beside users of the environment', async () => {
  const outcome = await ankiSync(['serve', '--base', join(folder, 'data')], { env: { ...NEEDED, SYNC_USER1: 'kim:canary-kim-password' } });
  assert.equal(outcome.code, 2);
  assert.match(outcome.stderr, /OIDC_ISSUER and SYNC_USER1 are both set/);
  assert.doesNotMatch(outcome.stdout + outcome.stderr, /canary/);
});

test('docs/options.md has every variable, with the option that it sets', () => {
  const page = readFileSync(join(ROOT, 'docs/options.md'), 'utf8');
  for (const variable of oidcVariables) assert.ok(page.includes(`\`OIDC_${variable}\``), variable);
  const source = readFileSync(join(ROOT, 'lib/auth/oidc/settings.ts'), 'utf8');
  const body = /export interface OidcOptions \{(.*?)\n\}/s.exec(source)?.[1] ?? '';
  const names = [...body.matchAll(/^ {2}(\w+)\??:/gm)].map((match) => match[1] as keyof OidcOptions);
  assert.ok(names.length > 15);
  for (const name of names) assert.match(page, new RegExp(`^\\|.*\\| \`${name}\` \\|`, 'm'), name);
});

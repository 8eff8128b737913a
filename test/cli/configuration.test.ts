import assert from 'node:assert/strict';
import { chmod, mkdir, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import test, { type TestContext } from 'node:test';
import { parseFlags } from '../../lib/cli/flags.ts';
import { baseFolder, serveFlags, serveSettings } from '../../lib/cli/settings.ts';
import { settings as table } from '../../lib/cli/settings-table.ts';
import { UsageError } from '../../lib/cli/usage-error.ts';
import { ankiSync, startServer, temporaryFolder } from './command.ts';

const wrong = (words: RegExp) => (error: unknown) => error instanceof UsageError && words.test(error.message);

async function fileOf(t: TestContext, text: string, name = 'anki-sync.toml'): Promise<string> {
  const path = join(await temporaryFolder(t), name);
  await writeFile(path, text, { mode: 0o600 });
  return path;
}

const settings = (args: string[], env: Record<string, string> = {}) => serveSettings(parseFlags(args, serveFlags).flags, env, '/home/kim');

test('a file is weaker than the environment, and the environment than flags', async (t) => {
  const file = await fileOf(t, 'host = "::1"\nport = 1001\npublic_url = "https://file.example/"\n');
  const { host, port, publicUrl, configuration } = settings(['--config', file, '--port', '1003'], { PUBLIC_URL: 'https://env.example/', SYNC_PORT: '1002' });
  assert.deepEqual([host, port, publicUrl], ['::1', 1003, 'https://env.example/']);
  assert.deepEqual(['SYNC_HOST', 'SYNC_PORT', 'PUBLIC_URL', 'FIRST_USER'].map(configuration.sourceOf), [`host in ${file}`, '--port', 'PUBLIC_URL', undefined]);
});

test('TOML and JSON say the same', async (t) => {
  const toml = await fileOf(t, 'threads = 2\ncase_sensitive = true\ndoctor = false\n[snapshots]\nmax_mib = 5\n[ldap]\nurl = ["ldaps://a", "ldaps://b"]\nsearch_base = "dc=a"\n');
  const json = await fileOf(t, JSON.stringify({ threads: 2, case_sensitive: true, doctor: false, snapshots: { max_mib: 5 }, ldap: { url: ['ldaps://a', 'ldaps://b'], search_base: 'dc=a' } }), 'x.json');
  for (const file of [toml, json]) {
    const { core, ldap } = settings(['--config', file]);
    assert.deepEqual(core, { threads: 2, caseSensitive: true, doctor: false, snapshots: { maxBytes: 5 * 1024 ** 2 } });
    assert.deepEqual(ldap, { url: ['ldaps://a', 'ldaps://b'], searchBase: 'dc=a' });
  }
});

test('several providers of OpenID Connect are several tables, and lists and pairs are as they are written there', async (t) => {
  const file = await fileOf(t, `
    [[oidc]]
    issuer = "https://a.example"
    client_id = "one"
    allowed_groups = ["Students, first year", "Teachers"]
    [[oidc]]
    issuer = "https://b.example"
    client_id = "two"
    required_claims = { email_verified = true, team = ["x", "y"] }
  `);
  assert.deepEqual(settings(['--config', file]).oidc, [
    { id: 'oidc-1', issuer: 'https://a.example', clientId: 'one', allowedGroups: ['Students, first year', 'Teachers'] },
    { id: 'oidc-2', issuer: 'https://b.example', clientId: 'two', requiredClaims: { email_verified: ['true', true], team: ['x', 'y'] } },
  ]);
});

test('paths in a file are relative to the file', async (t) => {
  const file = await fileOf(t, 'base = "cards"\n[tls]\ncert = "c.pem"\nkey = "/k.pem"\n');
  const { base, tls } = settings(['--config', file]);
  assert.equal(base, resolve(file, '../cards'));
  assert.deepEqual([tls?.certFile, tls?.keyFile], [resolve(file, '../c.pem'), '/k.pem']);
});

test('a file is no variable of the official server: our own defaults stay', async (t) => {
  const file = await fileOf(t, 'port = 9000\n');
  assert.deepEqual([settings(['--config', file]).host, settings(['--config', file]).base], ['127.0.0.1', resolve('data')]);
});

test('a secret in a variable takes the place of the file that the configuration names for it', async (t) => {
  const file = await fileOf(t, '[ldap]\nurl = "ldaps://a"\nsearch_base = "dc=a"\nbind_dn = "cn=a"\nbind_password_file = "/nowhere"\n');
  assert.equal(settings(['--config', file], { LDAP_BIND_PASSWORD: 'from the environment' }).ldap?.bindPassword, 'from the environment');
});

test('what is wrong with a file is told with its place and the likely word, and without its secrets', async (t) => {
  const cases: [string, RegExp][] = [
    ['prot = 1', /there is no setting prot\. Did you mean port\?$/],
    ['[ldap]\nulr = "x"', /there is no setting ldap\.ulr\. Did you mean ldap\.url\?$/],
    ['[ldpa]\nurl = "x"', /there is no table ldpa\. Did you mean ldap\?$/],
    ['ldap_url = "x"', /there is no setting ldap_url\./],
    ['port = 70000', /SYNC_PORT must be a port number .*\(SYNC_PORT is port in .*anki-sync\.toml\)$/],
    ['port = 1979-05-27', /port must be a text, a number/],
    ['user1 = "kim:secret"', /there is no setting user1/],
    ['config = "other.toml"', /there is no setting config/],
    ['[ldap]\nbind_password = "secret', /is not TOML: line \d+, column \d+: [^\n]*$/],
  ];
  for (const [text, words] of cases) {
    const file = await fileOf(t, text);
    assert.throws(() => settings(['--config', file]), (error) => wrong(words)(error) && (error as Error).message.includes(file) && !/secret/.test((error as Error).message), text);
  }
  const json = await fileOf(t, '{"ldap": {"bind_password": "secret"', 'x.json');
  assert.throws(() => settings(['--config', json]), wrong(/x\.json is not JSON$/));
  assert.throws(() => settings(['--config', '/nowhere/x.toml']), wrong(/\/nowhere\/x\.toml cannot be read \(ENOENT\)/));
});

test('the file is looked for in the working folder, then in the data folder, by every command', async (t) => {
  const folder = await temporaryFolder(t);
  const data = join(folder, 'data');
  await mkdir(data);
  await writeFile(join(data, 'anki-sync.toml'), 'host = "127.0.0.2"\n');
  const config = async (...args: string[]) => (await ankiSync(['config', ...args], { cwd: folder })).stdout;
  assert.match(await config(), /^host = "127\.0\.0\.2" +# host in .*data\/anki-sync\.toml$/m);

  await writeFile(join(folder, 'anki-sync.json'), '{ "base": "elsewhere" }');
  assert.match(await config(), /^# configuration file: .*anki-sync\.json$/m);
  assert.match(await config(), /^base = ".*\/elsewhere" /m);
  assert.match((await ankiSync(['user', 'add', 'kim'], { cwd: folder, input: 'password' })).stdout, /added/);
  assert.match((await ankiSync(['user', 'list', '--base', 'elsewhere'], { cwd: folder })).stdout, /kim/);

  await writeFile(join(folder, 'anki-sync.toml'), '');
  assert.match((await ankiSync(['config'], { cwd: folder })).stderr, /has both anki-sync\.toml and anki-sync\.json: keep one/);
});

test('a file in the data folder cannot say that the data are elsewhere', async (t) => {
  const data = await temporaryFolder(t);
  await writeFile(join(data, 'anki-sync.toml'), 'base = "/elsewhere"\n');
  assert.throws(() => baseFolder(new Map([['base', data]]), {}, '/home/kim'), wrong(/is in the data folder, and says that the data are in another one/));
});

test('secrets that others may read are told, and those of the owner alone are not', async (t) => {
  const file = await fileOf(t, '[ldap]\nurl = "ldaps://a"\nsearch_base = "dc=a"\nbind_dn = "cn=a"\nbind_password = "secret"\n');
  assert.deepEqual(settings(['--config', file]).warnings, []);
  await chmod(file, 0o644);
  assert.match(settings(['--config', file]).warnings.join(), /holds ldap\.bind_password, and everybody on this computer may read it/);
});

test('a misspelled variable of ours is told, and those of other programs are not', () => {
  const env = { SYNC_PROT: '1', LDAP_URLS: 'x', TRUSTED_PROXYS: 'x', LOGIN_LIMIT_USR: '3', QUOTA_MEDIA: '5', HOST: 'x', TLS_CERTS: '', LDAPTLS_CACERT: 'x', PATH: '/bin', SYNC_ENDPOINT: 'x' };
  assert.deepEqual(settings([], env).warnings, [
    'the variable LDAP_URLS is none of this server. Did you mean LDAP_URL?',
    'the variable LOGIN_LIMIT_USR is none of this server. Did you mean LOGIN_LIMIT_USER?',
    'the variable QUOTA_MEDIA is none of this server. Did you mean QUOTA_MEDIA_MIB?',
    'the variable SYNC_PROT is none of this server. Did you mean SYNC_PORT?',
    'the variable TRUSTED_PROXYS is none of this server. Did you mean TRUSTED_PROXIES?',
  ]);
});

test('a misspelled variable of a directory keeps the server from starting: it might have been the one that keeps people out', () => {
  const env = { LDAP_URL: 'ldaps://a', LDAP_BIND_TEMPLATE: 'uid={name},dc=a' };
  assert.throws(() => settings([], { ...env, LDAP_GROUP_FILTRE: '(cn=learners)' }), wrong(/^unknown variable LDAP_GROUP_FILTRE\. Did you mean LDAP_GROUP_FILTER\?$/));
  assert.equal(settings([], { ...env, LDAP_PORT: 'tcp://10.0.0.1:389', LDAP_URI: 'ldap://a', LDAP_GROUP_FILTRE: '' }).ldap?.groupFilter, undefined);
});

test('serve tells which file it follows, and what looks misspelled', async (t) => {
  const folder = await temporaryFolder(t);
  await writeFile(join(folder, 'anki-sync.toml'), 'port = 0\nbase = "cards"\n');
  const server = await startServer(t, [], { cwd: folder, env: { SYNC_PROT: '8080' } });
  await server.line(/^settings of .*anki-sync\.toml$/);
  await server.line(/Did you mean SYNC_PORT\?$/);
  await server.line(/, data in .*cards$/);
});

test('what config prints is a configuration file that says the same, without secrets', async (t) => {
  const folder = await temporaryFolder(t);
  const env = {
    LDAP_URL: 'ldaps://a', LDAP_SEARCH_BASE: 'ou="x"\\y', LDAP_BIND_DN: 'cn=a', LDAP_BIND_PASSWORD: 'top-secret', LDAP_TIMEOUT_SECS: '7', NO_LOGIN_LIMITS: 'true',
    OIDC_1_ISSUER: 'https://a.example', OIDC_1_CLIENT_ID: 'one', OIDC_1_CLIENT_SECRET: 'top-secret', OIDC_2_ISSUER: 'https://b.example', OIDC_2_CLIENT_ID: 'two',
    THREADS: '3',
  };
  const first = await ankiSync(['config', '--host', '::1', '--ldap-start-tls'], { cwd: folder, env });
  assert.deepEqual([first.code, first.stderr], [0, '']);
  assert.doesNotMatch(first.stdout, /top-secret/);
  assert.match(first.stdout, /^# bind_password = "\*{8}" +# LDAP_BIND_PASSWORD$/m);
  assert.match(first.stdout, /^threads = 3 +# THREADS$/m);
  assert.match(first.stdout, /^port = 27701 +# default$/m);
  await writeFile(join(folder, 'anki-sync.toml'), first.stdout);
  const second = await ankiSync(['config'], { cwd: folder, env: { LDAP_BIND_PASSWORD: 'top-secret' } });
  const bare = (text: string): string[] => text.split('\n').filter((line) => !line.startsWith('#')).map((line) => line.replace(/ {2}# .*/, ''));
  assert.deepEqual([second.stderr, bare(second.stdout)], ['', bare(first.stdout)]);
});

test('config tells what is wrong as serve does', async () => {
  const { code, stderr } = await ankiSync(['config', '--port', 'x']);
  assert.deepEqual([code, /--port must be/.test(stderr)], [2, true]);
});

test('no two settings have one variable, or one place in the file', () => {
  assert.equal(new Set(table.map(({ variable }) => variable)).size, table.length);
  assert.equal(new Set(table.map(({ table: name, key }) => `${name}.${key}`)).size, table.length);
});

import assert from 'node:assert/strict';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'node:test';
import { oldPaths } from '../../lib/cli/old-paths.ts';
import { oldSettings } from '../../lib/cli/old-settings.ts';
import { UsageError } from '../../lib/cli/usage-error.ts';
import { writeOldUser } from '../import/old-data.ts';
import { ankiSync, startServer, temporaryFolder } from './command.ts';

const CONF = `# comment
[other]
port = 1
[sync_app]
Host = 127.0.0.1
port: 27711
data_root = ./collections
auth_db_path = ./auth.db
base_url = /anki
log_level = warning
session_db_path = ./session.db
pory = 3
`;

test('the file is read as Python reads it, and the environment is stronger', async (t) => {
  const folder = await temporaryFolder(t);
  await writeFile(join(folder, 'a.conf'), CONF);
  await mkdir(join(folder, 'collections'));
  const settings = oldSettings(join(folder, 'a.conf'), { ANKISYNCD_PORT: '5', ANKISYNCD_COLLECTIONS_PATH: '/srv/old', ANKISYNCD_HOST: '', ANKISYNCD_NONSENSE: 'x' }, '/home/kim');
  assert.deepEqual([settings.host, settings.port, settings.dataFolder, settings.leastLevel, settings.baseUrl], ['127.0.0.1', '5', '/srv/old', 'warn', '/anki/']);
  assert.deepEqual(settings.warnings.map((line) => line.replace(folder, '…')), [
    'session_db_path in …/a.conf is ignored: host keys are kept in the data folder',
    'pory in …/a.conf is ignored: no such setting is known. Did you mean port?',
    'ANKISYNCD_NONSENSE is ignored: no such setting is known.',
  ]);
  // a relative path is one of the working folder, as there, or else of the file's
  assert.equal(oldSettings(join(folder, 'a.conf'), {}, '/home/kim').dataFolder, join(folder, 'collections'));
});

test('the file is looked for where the old server did', async (t) => {
  const home = await temporaryFolder(t);
  for (const [place, env] of [[join(home, '.config'), {}], [join(home, 'xdg'), { XDG_CONFIG_HOME: join(home, 'xdg') }]] as const) {
    await mkdir(join(place, 'ankisyncd'), { recursive: true });
    await writeFile(join(place, 'ankisyncd', 'ankisyncd.conf'), `[sync_app]\nport = ${place.length}\n`);
    assert.equal(oldSettings(undefined, env, home).port, String(place.length));
  }
});

test('what cannot be is told with its name', async (t) => {
  const folder = await temporaryFolder(t);
  const wrong = (env: Record<string, string>, words: RegExp): void =>
    assert.throws(() => oldSettings(undefined, env, folder), (error) => error instanceof UsageError && words.test(error.message));
  wrong({ ANKISYNCD_LOG_LEVEL: 'LOUD' }, /ANKISYNCD_LOG_LEVEL is "LOUD", but must be one of DEBUG/);
  wrong({ ANKISYNCD_BASE_URL: 'sync/' }, /ANKISYNCD_BASE_URL is "sync\/"/);
  assert.throws(() => oldSettings(join(folder, 'none.conf'), {}, folder), /none\.conf cannot be read \(ENOENT\)/);
  assert.match((await ankiSync(['serve'], { env: { ANKISYNCD_PORT: 'x', HOME: folder } })).stderr, /the port of the old server must be a port number/);
});

test('methods are found under the old paths too', () => {
  assert.equal(oldPaths({ found: [], warnings: [] }), undefined);
  const rewrite = oldPaths({ baseUrl: '/', baseMediaUrl: '/media/', found: [], warnings: [] })!;
  const cases = { '/meta': '/sync/meta', '/media/begin?k=1': '/msync/begin?k=1', '/sync/meta': '/sync/meta', '/msync/begin': '/msync/begin', '/': '/', '/health': '/health' };
  for (const [from, to] of Object.entries(cases)) assert.equal(rewrite(from), to);
});

test('serve takes over host, port, folder, paths and log level', async (t) => {
  const folder = await temporaryFolder(t);
  const env = {
    HOME: folder, ANKISYNCD_HOST: '127.0.0.1', ANKISYNCD_PORT: '0', ANKISYNCD_DATA_ROOT: join(folder, 'data'),
    ANKISYNCD_BASE_URL: '/cards/', ANKISYNCD_LOG_LEVEL: 'ERROR', ANKISYNCD_SESSION_MANAGER: 'x.y',
  };
  const server = await startServer(t, [], { env, cwd: folder });
  assert.match(server.lines[0]!, new RegExp(`data in ${join(folder, 'data')}$`));
  assert.ok(server.lines.includes('ANKISYNCD_SESSION_MANAGER is ignored: code of your own is given to createSyncServer'));
  // an unknown key, not an unknown path
  const response = await fetch(`${server.url}cards/meta`, { method: 'POST', headers: { 'anki-sync': '{"v":11,"k":"x","c":"x","s":"x"}' }, body: '' });
  assert.notEqual(response.status, 404);
  assert.equal((await fetch(`${server.url}nowhere`)).status, 404);
  assert.equal(await server.stop(), 0);
  assert.deepEqual(server.lines.filter((line) => / (info|warn) /.test(line)), []);
});

test('serve does not start on the data of an old server, and says how to take them over', async (t) => {
  const folder = await temporaryFolder(t);
  writeOldUser(join(folder, 'old data', 'ada'), { media: { 'a.png': 'a' } });
  for (const [args, env] of [[[], { ANKISYNCD_DATA_ROOT: join(folder, 'old data') }], [['--base', join(folder, 'old data')], {}]] as const) {
    const { code, stderr } = await ankiSync(['serve', ...args], { env: { HOME: folder, ...env }, cwd: folder });
    assert.equal(code, 2);
    assert.match(stderr, /import '.*old data' --base '.*old data-anki-sync'/);
  }
  // import finds the folder by the same variable
  const { code, stdout } = await ankiSync(['import', '--base', join(folder, 'new')], { env: { HOME: folder, ANKISYNCD_DATA_ROOT: join(folder, 'old data') }, cwd: folder });
  assert.equal(code, 0, stdout);
  assert.match(stdout, /^imported 1,/m);
});

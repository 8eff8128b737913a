/** The units of deploy/systemd: read by systemd itself where it is there, and their commands run as they stand there. */
import assert from 'node:assert/strict';
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, readFile, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { after, before, test } from 'node:test';
import { RawClient } from '../client/raw.ts';
import { run } from '../oracle/anki-python.ts';
import { ROOT } from '../package/project-copy.ts';
import { commandFolder, commandOf, readUnit, UNITS, type Unit } from './units.ts';

const ANALYZE = '/usr/bin/systemd-analyze';
const noSystemd = existsSync(ANALYZE) ? false : `systemd is not here (${ANALYZE})`;

let folder = '';
let server: Unit;
let backup: Unit;

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'anki-sync-systemd-'));
  const places = {
    '/opt/anki-sync/node_modules/.bin': await commandFolder(join(folder, 'bin')),
    '/var/lib/anki-sync-backups': join(folder, 'backups'),
    '/var/lib/anki-sync': join(folder, 'data'),
    '/etc/anki-sync': join(folder, 'etc'),
  };
  for (const name of ['backups', 'etc', 'units']) await mkdir(join(folder, name));
  [server, backup] = [await readUnit('anki-sync.service', places), await readUnit('anki-sync-backup.service', places)];
});

after(() => rm(folder, { recursive: true, force: true }));

/** What the unit gives its process. */
async function surroundings(unit: Unit): Promise<{ cwd: string; env: Record<string, string> }> {
  const lines = [...unit.all('Environment')];
  for (const file of unit.all('EnvironmentFile')) {
    const path = file.replace(/^-/, '');
    if (file !== path && !existsSync(path)) continue;
    lines.push(...(await readFile(path, 'utf8')).split('\n').filter((line) => line.includes('=')));
  }
  return { cwd: unit.one('WorkingDirectory'), env: Object.fromEntries(lines.map((line) => line.split(/=(.*)/s) as [string, string])) };
}

test('systemd knows every option of the units and finds nothing wrong in them', { skip: noSystemd }, async () => {
  const units: string[] = [];
  for (const name of (await readdir(UNITS)).filter((each) => /\.(service|timer)$/.test(each))) {
    units.push(join(folder, 'units', name));
    await writeFile(units.at(-1)!, (await readUnit(name, { '/opt/anki-sync/node_modules/.bin': join(folder, 'bin') })).text);
  }
  assert.equal(units.length, 3);
  // what it does not know is a line on standard error, and no failure; other units of the machine are not ours to judge
  const verify = (files: string[]): string => spawnSync(ANALYZE, ['verify', '--man=no', ...files], { encoding: 'utf8' }).stderr.split('\n').filter((line) => line.includes(folder)).join('\n');
  assert.equal(verify(units), '');
  const misspelt = join(folder, 'units', 'misspelt.service');
  await writeFile(misspelt, server.text.replace('ProtectHome=', 'ProtectHomes='));
  assert.match(verify([misspelt]), /Unknown key.*'ProtectHomes'/);
});

test('of what systemd can take from a service, the server keeps little', { skip: noSystemd }, async () => {
  const report = execFileSync(ANALYZE, ['security', '--offline=true', '--threshold=25', join(UNITS, 'anki-sync.service')], { encoding: 'utf8' });
  assert.match(report, /exposure level for anki-sync\.service: [012]\.\d OK/);
});

test('the server starts as its unit says, with the settings of both files, and stops as systemd stops it', async (t) => {
  const data = server.one('ExecStart').split(' ').at(-1)!;
  await mkdir(data);
  await writeFile(join(folder, 'etc/anki-sync.toml'), 'host = "127.0.0.1"\nport = 0\n');
  await writeFile(join(folder, 'etc/environment'), 'SYNC_USER1=ada:the right password\nCLOSE_IDLE_SECS=30\n');
  const [command, ...args] = commandOf(server.one('ExecStart'));
  const child = spawn(command, args, { ...(await surroundings(server)), stdio: ['ignore', 'pipe', 'inherit'] });
  t.after(() => child.kill('SIGKILL'));
  const ended = once(child, 'exit');
  let url = '';
  for await (const line of createInterface({ input: child.stdout })) {
    url = /^listening on .*enter (\S+) in Anki/.exec(line)?.[1] ?? '';
    if (url !== '') break;
  }
  const client = new RawClient(url);
  await client.hostKey('ada', 'the right password');
  assert.equal((await client.post('meta', { v: 11, cv: 'test' })).status, 200);
  assert.ok(existsSync(join(data, 'ada')), 'cards are where the unit lets it write');

  const [copy, ...of] = commandOf(backup.one('ExecStart'));
  await run(copy, of, await surroundings(backup));
  const [made] = await readdir(join(folder, 'backups'));
  assert.match(made ?? '', /^\d{4}-\d\d-\d\d-\d{6}\.zip$/);

  child.kill(server.one('KillSignal') as NodeJS.Signals);
  assert.deepEqual(await ended, [0, null]);
});

test('of the backups, those of more than 30 days go, and nothing else', async () => {
  const backups = join(folder, 'backups');
  const old = new Date(Date.now() - 32 * 86_400_000);
  for (const name of ['old.zip', 'old.txt', 'new.zip']) await writeFile(join(backups, name), '');
  for (const name of ['old.zip', 'old.txt']) await utimes(join(backups, name), old, old);
  const [command, ...args] = commandOf(backup.one('ExecStartPost'));
  await run(command, args, await surroundings(backup));
  const left = await readdir(backups);
  assert.deepEqual(['old.zip', 'old.txt', 'new.zip'].map((name) => left.includes(name)), [false, true, true]);
});

test('a wrong setting ends the server with the exit code at which its unit does not start it again', async () => {
  const [command, ...args] = commandOf(server.one('ExecStart'));
  const { cwd, env } = await surroundings(server);
  const child = spawn(command, args, { cwd, env: { ...env, LOG_LEVEL: 'everything' }, stdio: 'ignore' });
  assert.deepEqual(await once(child, 'exit'), [Number(server.one('RestartPreventExitStatus')), null]);
});

test('systemd waits longer than the server takes to stop', async () => {
  const [, limit = ''] = /GIVE_UP_MS = ([\d_]+)/.exec(await readFile(join(ROOT, 'lib/cli/serve.ts'), 'utf8')) ?? [];
  const giveUpSecs = Number(limit.replaceAll('_', '')) / 1000;
  assert.ok(giveUpSecs > 0 && Number(server.one('TimeoutStopSec')) >= giveUpSecs + 5, limit);
});

const noTrace = noSystemd || (spawnSync('/usr/bin/strace', ['-o', '/dev/null', 'true']).status === 0 ? false : 'strace is not here, or may not trace');

test('every system call, kind of socket and place to write of a sync is one that the unit allows, and a read-only file system of a container', { skip: noTrace }, async (t) => {
  const calls = (sets: string[]): Set<string> => {
    const found = new Set<string>();
    for (const set of sets) {
      for (const [name] of execFileSync(ANALYZE, ['syscall-filter', set], { encoding: 'utf8' }).matchAll(/(?<=^ {4})@?[\w-]+$/gm)) {
        if (name.startsWith('@')) for (const inner of calls([name])) found.add(inner);
        else found.add(name);
      }
    }
    return found;
  };
  const [allow = '', deny = ''] = server.all('SystemCallFilter');
  const denied = calls(deny.replace('~', '').split(' '));
  const allowed = new Set([...calls(allow.split(' '))].filter((name) => !denied.has(name)));
  assert.ok(allowed.has('openat') && !allowed.has('chown') && !allowed.has('mount'));

  const base = join(folder, 'traced');
  const trace = join(folder, 'trace');
  const env = { ...(await surroundings(server)).env, SYNC_USER1: 'ada:the right password' };
  const [command] = commandOf(server.one('ExecStart'));
  const child = spawn('/usr/bin/strace', ['-f', '-qq', '-o', trace, command, 'serve', '--base', base, '--host', '127.0.0.1', '--port', '0'], { cwd: folder, env, stdio: ['ignore', 'pipe', 'inherit'], detached: true });
  t.after(() => {
    try {
      process.kill(-child.pid!, 'SIGKILL');
    } catch {
      // it has ended, as it should
    }
  });
  const ended = once(child, 'exit');
  let url = '';
  for await (const line of createInterface({ input: child.stdout })) {
    url = /^listening on .*enter (\S+) in Anki/.exec(line)?.[1] ?? '';
    if (url !== '') break;
  }
  const client = new RawClient(url);
  await client.hostKey('ada', 'the right password');
  await client.post('meta', { v: 11, cv: 'test' });
  assert.equal((await client.post('download', {})).status, 200);
  process.kill(-child.pid!, 'SIGTERM');
  await ended;

  const text = await readFile(trace, 'utf8');
  const used = new Set([...text.matchAll(/^\d+ +(\w+)\(/gm)].map(([, name]) => name!));
  assert.ok(used.size > 30);
  // SQLite gives files to their owner where it runs as root, which the unit does not
  const asRoot = process.getuid?.() === 0 ? ['fchown', 'chown'] : [];
  assert.deepEqual([...used].filter((name) => !allowed.has(name) && !asRoot.includes(name)).sort(), []);
  const families = new Set([...text.matchAll(/ socket\((AF_\w+)/g)].map(([, family]) => family!));
  for (const family of families) assert.ok(server.one('RestrictAddressFamilies').split(' ').includes(family), family);
  const written = [...text.matchAll(/ open(?:at)?\((?:AT_FDCWD, )?"([^"]+)", [^)]*O_(?:WRONLY|RDWR|CREAT)/g)].map(([, path]) => path!);
  assert.ok(written.some((path) => path.startsWith(base)));
  assert.deepEqual(written.filter((path) => !path.startsWith(`${base}/`) && !path.startsWith('/dev/') && !path.startsWith('/proc/self/')), []);
});

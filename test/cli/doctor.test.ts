import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'node:test';
import { doctor, doctorFlags } from '../../lib/cli/doctor.ts';
import { processSurroundings } from '../../lib/cli/surroundings.ts';
import { UsageError } from '../../lib/cli/usage-error.ts';
import { PASSWORD, runningServer } from '../server/running-server.ts';
import { brokenProxy } from '../doctor/proxy.ts';
import { freePort } from '../proxies/proxy.ts';
import { ankiSync } from './command.ts';
import { atTerminal } from './terminal.ts';

const QUICK = ['--slow-secs', '0', '--body-mib', '2'];

test('doctor lists its checks, with exit code 0 where nothing is wrong', async (t) => {
  const server = await runningServer();
  t.after(() => server.stop());
  const { code, stdout } = await ankiSync(['doctor', server.url, '--user', 'kim', ...QUICK], { input: `${PASSWORD}\n` });
  assert.equal(code, 0, stdout);
  assert.match(stdout, /^✔ server: anki-sync \d+\.\d+\.\d+ answers$/m);
  assert.match(stdout, /^✔ sign-in: kim is signed in/m);
  assert.match(stdout, /^– timeouts: left out, as asked$/m);
  assert.match(stdout, /Anki can sync here\.\n$/);
});

test('doctor tells what Anki shows and what to change, with exit code 1', async (t) => {
  const server = await runningServer();
  t.after(() => server.stop());
  const limited = await brokenProxy(t, server.url, { maxBodyBytes: 1_000_000 });
  const { code, stdout } = await ankiSync(['doctor', limited, ...QUICK]);
  assert.equal(code, 1);
  assert.match(stdout, /^✖ large bodies: a body of 2 MiB does not pass, .*\n {4}Anki shows: 413 Request Entity Too Large.*\n {4}change: .*\n {4}nginx: +client_max_body_size 0;$/m);
  assert.match(stdout, /^1 wrong\./m);
});

test('at a terminal, doctor says what it waits for', async (t) => {
  const server = await runningServer();
  t.after(() => server.stop());
  const shown = await atTerminal('doctor', server.url, '--slow-secs', '1', '--body-mib', '2');
  assert.match(shown, /\r\x1b\[K… timeouts\r\x1b\[K✔ timeouts: [^]*\r\x1b\[K\r\nAnki can sync here\./);
});

test('doctor --json tells the same to programs', async () => {
  const address = `http://127.0.0.1:${await freePort()}/`;
  const { code, stdout } = await ankiSync(['doctor', address, '--json']);
  assert.equal(code, 1);
  const { ok, findings } = JSON.parse(stdout) as { ok: boolean; findings: { check: string; mark: string; fault?: string; shows?: string; change?: { other: string } }[] };
  assert.equal(ok, false);
  const [wrong] = findings.filter(({ mark }) => mark === 'wrong');
  assert.deepEqual([wrong?.check, wrong?.fault, wrong?.shows], ['connection', 'NOBODY_LISTENS', 'error sending request']);
  assert.match(wrong?.change?.other ?? '', /port/);
});

test('a password comes from a file too, and never from the command line', async (t) => {
  const server = await runningServer();
  t.after(() => server.stop());
  const folder = await mkdtemp(join(tmpdir(), 'anki-sync-doctor-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  await writeFile(join(folder, 'password'), `${PASSWORD}\n`);
  const right = await ankiSync(['doctor', server.url, '--user', 'kim', '--password-file', join(folder, 'password'), ...QUICK]);
  assert.equal(right.code, 0, right.stdout);
  const typed = await ankiSync(['doctor', server.url, '--user', 'kim', '--password', 'secret']);
  assert.deepEqual([typed.code, typed.stdout], [2, '']);
  assert.match(typed.stderr, /unknown flag --password\./);
});

test('doctor refuses what it cannot use', async () => {
  for (const [args, words] of [
    [[], /needs the address/], [['example.org'], /is no address/], [['http://127.0.0.1/', 'secret'], /one address and nothing more/],
    [['http://127.0.0.1/', '--body-mib', '500'], /from 0 to 128/], [['http://127.0.0.1/', '--slow-secs', 'long'], /from 0 to 120/],
    [['http://127.0.0.1/', '--ca', '/nowhere.pem'], /cannot be read \(ENOENT\)/], [['http://127.0.0.1/', '--password-file', 'x'], /needs --user/],
  ] as const) {
    await assert.rejects(doctor([...args], processSurroundings()), (error: unknown) => error instanceof UsageError && words.test(error.message));
  }
});

test('help tells every flag of doctor', async () => {
  const { stdout } = await ankiSync(['help']);
  for (const flag of Object.keys(doctorFlags)) assert.match(stdout, new RegExp(`^  --${flag} `, 'm'));
});

import assert from 'node:assert/strict';
import test from 'node:test';
import { backupFlags } from '../../lib/cli/backup.ts';
import { checkFlags } from '../../lib/cli/check.ts';
import { doctorFlags } from '../../lib/cli/doctor.ts';
import { helpOf } from '../../lib/cli/help.ts';
import { importFlags } from '../../lib/cli/import.ts';
import { maintenanceFlags } from '../../lib/cli/maintenance.ts';
import { restoreFlags } from '../../lib/cli/restore.ts';
import { serveFlags } from '../../lib/cli/settings.ts';
import { statusFlags } from '../../lib/cli/status.ts';
import { tlsCommandFlags } from '../../lib/cli/tls.ts';
import { ankiSync } from './command.ts';

test('help tells every flag, and its defaults', async () => {
  const { code, stdout } = await ankiSync(['help']);
  assert.equal(code, 0);
  for (const flag of Object.keys(serveFlags)) assert.ok(stdout.includes(`--${flag} `), flag);
  for (const word of ['./data', '127.0.0.1', '27701', 'SYNC_USER1', '~/.syncserver']) assert.ok(stdout.includes(word), word);
  assert.equal((await ankiSync(['--help'])).stdout, stdout);
});

test('help of a command has its line and all of its flags, and nothing of others', async () => {
  const flagsOf: Record<string, object> = {
    serve: serveFlags, config: serveFlags, gateway: serveFlags, status: statusFlags, maintenance: maintenanceFlags, tls: tlsCommandFlags, import: importFlags,
    check: checkFlags, backup: backupFlags, restore: restoreFlags, snapshots: {}, doctor: doctorFlags, user: {}, version: {}, help: {},
  };
  for (const [command, flags] of Object.entries(flagsOf)) {
    const text = helpOf(command);
    assert.match(text, new RegExp(`^Usage: .*\\n\\n  ${command}\\b`), command);
    for (const flag of Object.keys(flags)) {
      if (/^upstream/.test(flag) && command !== 'gateway') continue;
      assert.ok(text.includes(`--${flag} `), `${command} --${flag}`);
    }
  }
  const { stdout } = await ankiSync(['backup', '--help']);
  assert.equal(stdout, (await ankiSync(['help', 'backup'])).stdout);
  assert.ok(!stdout.includes('--port') && stdout.split('\n').length < 15, stdout);
  assert.match((await ankiSync(['help', 'sreve'])).stderr, /Did you mean serve\?/);
});

test('without a command, help goes to where errors go', async () => {
  const { code, stdout, stderr } = await ankiSync([]);
  assert.deepEqual([code, stdout], [2, '']);
  assert.match(stderr, /^Usage: /);
});

test('a mistyped command is answered with the likely one', async () => {
  assert.match((await ankiSync(['sreve'])).stderr, /unknown command sreve\. Did you mean serve\?/);
  assert.match((await ankiSync(['constructor'])).stderr, /unknown command constructor/);
  assert.match((await ankiSync(['serve', 'now'])).stderr, /serve takes no "now"/);
});

test('version prints the version of the package', async () => {
  assert.match((await ankiSync(['version'])).stdout, /^\d+\.\d+\.\d+\n$/);
});

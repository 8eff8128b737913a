import assert from 'node:assert/strict';
import test from 'node:test';
import { serveFlags } from '../../lib/cli/settings.ts';
import { ankiSync } from './command.ts';

test('help tells every flag, and its defaults', async () => {
  const { code, stdout } = await ankiSync(['help']);
  assert.equal(code, 0);
  for (const flag of Object.keys(serveFlags)) assert.ok(stdout.includes(`--${flag} `), flag);
  for (const word of ['./data', '127.0.0.1', '27701', 'SYNC_USER1', '~/.syncserver']) assert.ok(stdout.includes(word), word);
  assert.deepEqual((await ankiSync(['serve', '--help'])).stdout, stdout);
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

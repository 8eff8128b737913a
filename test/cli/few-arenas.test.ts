import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { BIN, startServer, temporaryFolder } from './command.ts';

const elsewhere = process.platform === 'linux' ? false : 'how memory is kept is a matter of Linux';

async function environmentOf(pid: number): Promise<string[]> {
  return (await readFile(`/proc/${pid}/environ`, 'utf8')).split('\0');
}

test('a server that starts has two arenas of memory, under the same process id', { skip: elsewhere }, async (t) => {
  const server = await startServer(t, ['--base', await temporaryFolder(t), '--host', '127.0.0.1', '--port', '0']);
  await server.line(/listening/);
  const environment = await environmentOf(server.child.pid!);
  assert.ok(environment.includes('MALLOC_ARENA_MAX=2'));
  assert.equal(await server.stop('SIGTERM'), 0);
});

test('who sets the number of arenas has that number', { skip: elsewhere }, async (t) => {
  const server = await startServer(t, ['--base', await temporaryFolder(t), '--host', '127.0.0.1', '--port', '0'], { env: { MALLOC_ARENA_MAX: '7' } });
  await server.line(/listening/);
  const environment = await environmentOf(server.child.pid!);
  assert.deepEqual(environment.filter((line) => line.startsWith('MALLOC_ARENA_MAX')), ['MALLOC_ARENA_MAX=7']);
});

test("Node's own flags, standard streams and the exit code are those of one process", { skip: elsewhere }, async () => {
  const child = spawn(process.execPath, ['--import', 'data:text/javascript,console.error("imported")', BIN, 'serve', '--prot', '1'], { stdio: ['ignore', 'ignore', 'pipe'] });
  let errors = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => (errors += text));
  const [code] = await once(child, 'close');
  assert.match(errors, /--prot/);
  assert.equal(errors.match(/^imported$/gm)?.length, 2, errors);
  assert.doesNotMatch(errors, /Experimental/);
  assert.equal(code, 2);
});

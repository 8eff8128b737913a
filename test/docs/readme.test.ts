import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import test from 'node:test';
import { RawClient } from '../client/raw.ts';
import { copyProject, pinnedNode, ROOT } from '../package/project-copy.ts';

const readme = await readFile(join(ROOT, 'README.md'), 'utf8');
const [install = '', tests = ''] = [...readme.matchAll(/```sh\n(.*?)\n```/gs)].map((match) => match[1] ?? '');

test("the README's first command ends in a server with a first user, who can sign in", async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'anki-sync-readme-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const project = join(folder, 'project');
  await copyProject(project);
  // installed is what the tests run on; a free port and another folder, so that nothing is in the way
  assert.match(install, /^npm ci && npm start -- \S/);
  const command = `${install.replace('npm ci && ', '')} --port 0 --base ${join(folder, 'data')}`;
  const child = spawn('sh', ['-c', `exec ${command}`], { cwd: project, env: withoutOfficialVariables(), stdio: ['ignore', 'pipe', 'inherit'], detached: true });
  t.after(() => {
    try {
      process.kill(-child.pid!, 'SIGKILL');
    } catch {
      // all ended, as it should be
    }
  });
  let user: string[] = [];
  let url = '';
  const said: string[] = [];
  for await (const line of createInterface({ input: child.stdout })) {
    said.push(line);
    user = /^created the user "(.*)" with the password (\S+)$/.exec(line)?.slice(1) ?? user;
    url = /^listening on .*enter (\S+) in Anki/.exec(line)?.[1] ?? '';
    if (url !== '') break;
  }
  // what the README shows of it
  const [, shown = ''] = /once, and the address to enter:\n\n```\n(.*?)\n```/s.exec(readme) ?? [];
  const stripped = (text: string): string => text.replace(/password \S+/, 'password').replace(/ --base \S+$/, '').replaceAll(/(port |:)\d+/g, '$1');
  assert.deepEqual(shown.split('\n').map(stripped), said.filter((line) => /^(created|it is shown|listening)/.test(line)).map(stripped));
  await new RawClient(url).hostKey(user[0] ?? '', user[1] ?? '');

  // what npm is told, the server hears
  child.kill('SIGTERM');
  assert.deepEqual(await once(child, 'exit'), [0, null]);
  await assert.rejects(new RawClient(url).get('health'), { code: 'ECONNREFUSED' });
});

test("continuous integration runs the README's second command, and nothing before it but a clean installation", async () => {
  assert.equal(tests, 'npm ci && npm test');
  const commands = (await readFile(join(ROOT, '.ci/run'), 'utf8')).split('\n').filter((line) => line.startsWith('npm '));
  assert.equal(commands.join(' && '), tests);
});

function withoutOfficialVariables(): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(pinnedNode).filter(([name]) => !/^(SYNC_|MAX_SYNC|PASSWORDS_HASHED)/.test(name)));
}

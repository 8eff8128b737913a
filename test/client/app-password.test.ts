/** App passwords with real Anki clients, on the standalone server. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { ankiSync, startServer, temporaryFolder } from '../cli/command.ts';
import { AnkiDevices, ClientError, type Device } from './devices.ts';

test('a client signs in with an app password, and is told to sign in again when it is revoked, while another goes on', async (t) => {
  const folder = await temporaryFolder(t);
  const base = join(folder, 'data');
  const user = async (...args: string[]): Promise<string> => {
    const { code, stdout, stderr } = await ankiSync(['user', ...args, '--base', base], { input: 'the person\'s own' });
    assert.equal(code, 0, stderr);
    return stdout;
  };
  await user('add', 'kim');
  const [shown] = (await user('app-password', 'kim', '--name', 'laptop', '--expires', '30d')).split('\n');
  const server = await startServer(t, ['--base', base, '--port', '0']);
  const devices = await AnkiDevices.start();
  t.after(() => devices.end());
  const refused = async (asking: Promise<unknown>): Promise<ClientError> => {
    const error: unknown = await asking.then(() => undefined, (each: unknown) => each);
    assert.ok(error instanceof ClientError, 'the client was not refused');
    return error;
  };
  const [laptop, desktop]: Device[] = [await devices.device('laptop', join(folder, 'a')), await devices.device('desktop', join(folder, 'b'))];

  // as people type it
  await laptop!.login('KIM', shown!.toUpperCase().replaceAll('-', ' '), server.url);
  await desktop!.login('kim', 'the person\'s own', server.url);
  assert.match(await server.line(/event=login\.ok .*app password/), /hostKey 200 .* user=kim .*detail="with the app password [a-z2-7]{12}"/);
  await laptop!.do('add_notes', { prefix: 'one' });
  assert.equal((await laptop!.sync()).required, 'FULL_UPLOAD');
  await laptop!.upload();
  assert.equal((await laptop!.sync()).required, 'NO_CHANGES');

  const id = (await user('app-passwords', 'kim')).split('\t')[0]!;
  assert.match(await user('app-passwords', 'kim'), /\tlast used /);
  await user('revoke', 'kim', id);
  assert.equal((await refused(laptop!.sync())).kind, 'AUTH');
  assert.equal((await refused(laptop!.login('kim', shown!, server.url))).kind, 'AUTH');
  assert.match(await server.line(/event=keys\.revoked/), /user=kim .*their app password was revoked, by the command line/);

  assert.equal((await desktop!.sync()).required, 'FULL_DOWNLOAD');
  await desktop!.download();
  await laptop!.login('kim', 'the person\'s own', server.url);
  await laptop!.do('add_notes', { prefix: 'two' });
  assert.equal((await laptop!.sync()).required, 'NO_CHANGES');
  assert.equal((await desktop!.sync()).required, 'NO_CHANGES');

  assert.equal(await server.stop(), 0);
  const listed = (await user('devices', 'kim')).trim().split('\n');
  assert.equal(listed.length, 2);
  for (const line of listed) assert.match(line, /^[a-z2-7]{12}\tAnki \d+\.\d+(\.\d+)?, \w+.*\tlast sync \d{4}-\d\d-\d\d \d\d:\d\dZ\tsigned in .*\t127\.0\.0\.1$/);
});

import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'node:test';
import express from 'express';
import * as expressAdapter from '../../adapters/express/index.ts';
import { checkUsers } from '../../lib/gateway/settings.ts';
import * as front from '../../lib/index.ts';
import { ROOT } from '../package/project-copy.ts';

const page = await readFile(join(ROOT, 'docs/gateway.md'), 'utf8');
const blockOf = (language: string): string => new RegExp(`\`\`\`${language}\\n(.*?)\`\`\``, 's').exec(page)?.[1] ?? '';

test('the file of users that docs/gateway.md shows is one', () => {
  const users: unknown = JSON.parse(blockOf('json'));
  checkUsers(users);
  assert.equal(Object.keys(users).length, 2);
});

test('the application of docs/gateway.md starts, and has the page that tells what to enter', async (t) => {
  const base = await mkdtemp(join(tmpdir(), 'anki-sync-docs-gateway-'));
  const code = blockOf('js')
    .replaceAll(/^import (\{.*\}) from '(.*)';$/gm, "const $1 = packages['$2'];")
    .replace("'./gateway-data'", JSON.stringify(base));
  const packages = { 'anki-sync-middleware': front, 'anki-sync-middleware/express': expressAdapter };
  const app = express();
  const run = new Function('packages', 'app', 'passwords', `${code}\nreturn gateway;`) as (...values: unknown[]) => front.SyncServer;
  const gateway = run(packages, app, new Map());
  t.after(async () => {
    await gateway.close();
    await rm(base, { recursive: true, force: true });
  });
  await gateway.ready;
  const listener = app.listen(0, '127.0.0.1');
  t.after(() => listener.close());
  await new Promise((resolve) => listener.once('listening', resolve));
  const { port } = listener.address() as { port: number };
  assert.match(await (await fetch(`http://127.0.0.1:${port}/anki/`, { headers: { connection: 'close' } })).text(), new RegExp(`:${port}/anki/`));
});

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'node:test';
import { checkAccountOptions } from '../../lib/account/settings.ts';
import { checkOptions } from '../../lib/options.ts';
import { ROOT } from '../package/project-copy.ts';

const page = await readFile(join(ROOT, 'docs/account.md'), 'utf8');

test('docs/account.md has every option of the account page, with its default', () => {
  const defaults: Record<string, unknown> = { enabled: true, ...checkAccountOptions(true) };
  const rows = [...page.matchAll(/^\| `(\w+)` \| (.*?) \|/gm)].map(([, name = '', value = '']) => [name, value] as const);
  assert.deepEqual(rows.map(([name]) => name).sort(), Object.keys(defaults).sort());
  for (const [name, value] of rows) assert.equal(value, name === 'admins' ? 'none' : typeof defaults[name] === 'boolean' ? `\`${defaults[name]}\`` : String(defaults[name]));
  assert.equal(checkOptions({}).account, undefined);
});

test("the portal of docs/account.md is the one that the tests run", async () => {
  const [, code = ''] = /```ts\n(const app = express\(\);.*?)\n```/s.exec(page) ?? [];
  const app = await readFile(join(ROOT, 'test/account/portal-app.ts'), 'utf8');
  for (const line of code.split('\n')) assert.ok(app.includes(`  ${line}\n`), line);
});

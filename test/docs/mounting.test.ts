import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'node:test';
import { ROOT } from '../package/project-copy.ts';

const page = await readFile(join(ROOT, 'docs/mounting.md'), 'utf8');
const bridges = (await readdir(join(ROOT, 'adapters'))).filter((name) => existsSync(join(ROOT, 'adapters', name, 'index.ts')));

test('docs/mounting.md has every option of every bridge, and none that there is not', async () => {
  const options = new Set<string>();
  for (const bridge of bridges) {
    const source = await readFile(join(ROOT, 'adapters', bridge, 'index.ts'), 'utf8');
    const body = /export interface \w+SyncOptions \{(.*?)\n\}/s.exec(source)?.[1] ?? '';
    const own = [...body.matchAll(/^ {2}(\w+)\?[:(]/gm)].map(([, name = '']) => name);
    assert.ok(own.length > 0, bridge);
    for (const name of own) options.add(name);
  }
  const table = [...page.matchAll(/^\| `(\w+)` \|/gm)].map(([, name = '']) => name);
  assert.deepEqual(table.sort(), [...options].sort());
});

test('every bridge is an export of the package, and has ten lines in docs/mounting.md', async () => {
  const { exports } = JSON.parse(await readFile(join(ROOT, 'package.json'), 'utf8')) as { exports: Record<string, unknown> };
  for (const bridge of bridges) {
    assert.ok(exports[`./${bridge}`] !== undefined, bridge);
    if (bridge === 'express') continue;
    const example = [...page.matchAll(/```js\n(.*?)```/gs)].map(([, code = '']) => code).find((code) => code.includes(`'anki-sync-middleware/${bridge}'`));
    assert.ok(example !== undefined, bridge);
    const lines = example.split('\n').filter((line) => line !== '');
    assert.ok(lines.length <= 10, `${bridge}: ${lines.length} lines`);
  }
});

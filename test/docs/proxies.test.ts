/** docs/proxies.md shows the files that the tests run, and nothing else. */
import assert from 'node:assert/strict';
import { readFile, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'node:test';
import { ROOT } from '../package/project-copy.ts';

const page = await readFile(join(ROOT, 'docs/proxies.md'), 'utf8');
const FOLDERS = ['nginx-njs', 'caddy', 'apache', 'haproxy'];

test('every configuration on the page is a file of adapters/, as it is there', async () => {
  const blocks = [...page.matchAll(/\[(adapters\/[^\]]+)\]\(\.\.\/\1\):\n\n```(\w+)\n(.*?)\n```/gs)];
  assert.equal(blocks.length, page.match(/^```\w+$/gm)?.length, 'each is said to be a file');
  assert.ok(blocks.length >= 8);
  for (const [, path, , text] of blocks) assert.equal(`${text}\n`, await readFile(join(ROOT, path!), 'utf8'), path);
});

test('every file for a proxy is on the page, and run by a test', async () => {
  const tests = await Promise.all((await readdir(join(ROOT, 'test/proxies'))).map((name) => readFile(join(ROOT, 'test/proxies', name), 'utf8')));
  for (const folder of FOLDERS) {
    for (const name of (await readdir(join(ROOT, 'adapters', folder))).filter((each) => each !== 'README.md')) {
      assert.ok(page.includes(`(../adapters/${folder}/${name})`), `${folder}/${name} on the page`);
      assert.ok(tests.some((text) => text.includes(`'${folder}/${name}'`)), `${folder}/${name} in a test`);
    }
  }
});

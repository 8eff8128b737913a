/** The pages by task: their messages are Anki's and ours, their commands run, their settings can be read. */
import assert from 'node:assert/strict';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import test, { type TestContext } from 'node:test';
import { readConfigFile } from '../../lib/cli/config-file.ts';
import { quotaWords } from '../../lib/plain-words.ts';
import { startServer } from '../cli/command.ts';
import { commandFolder, commandOf } from '../deploy/units.ts';
import { ankiEnvironment, ankiPython, run } from '../oracle/anki-python.ts';
import { pinnedNode, ROOT } from '../package/project-copy.ts';

const page = (name: string): Promise<string> => readFile(join(ROOT, 'docs', name), 'utf8');

async function temporaryFolder(t: TestContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'anki-sync-tasks-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

/** What the first column of a table on the page says that Anki shows. */
function messages(text: string, heading?: string): string[] {
  const part = heading === undefined ? text : text.slice(text.indexOf(`## ${heading}`)).split('\n## ')[0]!;
  return [...part.matchAll(/^\| (`.*?) \|/gm)].flatMap(([, cell = '']) => [...cell.matchAll(/`([^`]+)`/g)].map(([, words = '']) => words));
}

const OURS = 'What this server says itself';

const NO_TROUBLE = new RegExp(`^(${[
  'sync_ankihub_', 'sync_media_(starting|complete|aborting|aborted|disabled|log_|added|removed|checked)', 'sync_(abort|cancel|log_in|log_out|media_log)_button',
  'sync_(download_from|upload_to|downloading_from|uploading_to)_ankiweb', 'sync_(syncing|checking|connecting|added_updated|collection_complete)', 'sync_sign_in',
  'sync_(ankiweb_id|password)_label', 'network_details',
].join('|')})`);

test('every message of troubleshooting.md is one of the real Anki, or of an error whose details the tests of proxies hear; and none is missing', async (t) => {
  const text = await page('troubleshooting.md');
  const folder = await temporaryFolder(t);
  const script = `
import json, sys
from anki.collection import Collection
col = Collection(sys.argv[1])
said = []
for name in dir(col.tr):
    if name.startswith(("sync_", "network_")):
        for given in ({}, {"details": ""}, {"link": ""}):
            try:
                said.append([name, getattr(col.tr, name)(**given)])
            except TypeError:
                pass
print(json.dumps(said))
col.close()
`;
  const printed = await run(await ankiPython(), ['-c', script, join(folder, 'collection.anki2')], { env: ankiEnvironment() });
  const named = JSON.parse(printed) as [name: string, words: string][];
  const anki = named.map(([, words]) => words);
  assert.ok(anki.length > 30);
  const server = await readFile(join(ROOT, 'lib/server/upload.ts'), 'utf8');
  const proxies = await page('proxies.md');
  const theirs = messages(text).filter((each) => !messages(text, OURS).includes(each));
  assert.ok(theirs.length > 15);
  for (const words of theirs) {
    assert.ok(anki.some((each) => each.includes(words)) || server.includes(`'${words}'`) || proxies.includes(words), words);
  }
  // and of all that Anki has for syncs, what is no button and no progress
  for (const [name, words] of named.filter(([each]) => !NO_TROUBLE.test(each))) {
    assert.ok(theirs.some((each) => words.includes(each)), `${name}: ${words}`);
  }
});

test('what troubleshooting.md says of our own sentences is in the sources, and none of them is missing', async () => {
  const text = await page('troubleshooting.md');
  const [words, restart, maintenance] = await Promise.all(['lib/plain-words.ts', 'lib/server/let-syncs-end.ts', 'lib/cli/maintenance.ts'].map((name) => readFile(join(ROOT, name), 'utf8')));
  const sources = `${words}${restart}${maintenance}${quotaWords('collection', 2, 1)}${quotaWords('media', 2, 1)}`;
  const listed = messages(text, OURS).filter((each) => / /.test(each) && !each.startsWith('anki-sync '));
  for (const sentence of listed) assert.ok(sources.includes(sentence), sentence);
  const first = [...words!.matchAll(/^ {2}[A-Z_]+: '([^.]*)/gm), ...sources.matchAll(/^(?:export )?const (?:RESTART_)?WORDS = '([^.]*\.)/gm)].map(([, sentence = '']) => sentence);
  assert.ok(first.length >= 7);
  for (const sentence of first) assert.ok(listed.some((each) => each.startsWith(sentence.slice(0, 40))), sentence);
});

test('the settings that company.md shows can be read, with every key known', async (t) => {
  const [, text = ''] = /```toml\n(.*?)```/s.exec(await page('company.md')) ?? [];
  const file = join(await temporaryFolder(t), 'anki-sync.toml');
  await writeFile(file, text);
  assert.ok(readConfigFile(file).settings.size >= 10);
});

test('the commands of family.md run: people, a backup, and a look at what came back from it', async (t) => {
  const folder = await temporaryFolder(t);
  const env = { ...pinnedNode, PATH: `${await commandFolder(join(folder, 'bin'))}${delimiter}${pinnedNode['PATH']}` };
  const blocks = [...(await page('family.md')).matchAll(/```sh\n(.*?)```/gs)].map(([, block = '']) => block);
  assert.equal(blocks.length, 2);
  let said = '';
  for (const line of blocks.join('').trim().split('\n')) said += await run('sh', ['-c', line], { cwd: folder, env, input: 'the right password\n' });
  assert.match(said, /^kim\b/m);
  assert.match(said, /^lee\b/m);
});

test('the commands of a new version run, and a server that is not there yet is told of it', async (t) => {
  const folder = await temporaryFolder(t);
  const env = { ...pinnedNode, PATH: `${await commandFolder(join(folder, 'bin'))}${delimiter}${pinnedNode['PATH']}` };
  await run('anki-sync', ['user', 'add', 'kim'], { cwd: folder, env, input: 'the right password\n' });
  const [, block = ''] = /## A new version\n\n```sh\n(.*?)```/s.exec(await page('deployment.md')) ?? [];
  let said = '';
  for (const line of block.trim().split('\n').filter((each) => !each.startsWith('#'))) said += await run('sh', ['-c', line], { cwd: folder, env });
  assert.match(said, /^on\b.*\n[^]*^off\b/m);
});

test('the command of personal-site.md serves, and its pages show the address of the site', async (t) => {
  const [, line = ''] = /```sh\n\s*anki-sync (serve .*)\n/.exec(await page('personal-site.md')) ?? [];
  const folder = await temporaryFolder(t);
  const [, ...args] = commandOf(line);
  // a free port, so that nothing is in the way
  const server = await startServer(t, [...args, '--port', '0'], { cwd: folder });
  await server.line(/^created the user "kim" with the password /);
  const landing = await (await fetch(server.url)).text();
  assert.ok(landing.includes('https://example.org/anki/') && !landing.includes('http://127.0.0.1'));
  assert.equal(await server.stop(), 0);
});

test('deployment.md installs each file that deploy/systemd has, into the places of which the units speak', async () => {
  const text = await page('deployment.md');
  const [, unit = ''] = /^ExecStart=(\S+) /m.exec(await readFile(join(ROOT, 'deploy/systemd/anki-sync.service'), 'utf8')) ?? [];
  const [, prefix = ''] = /npm install --prefix (\S+) \.\/anki-sync-middleware/.exec(text) ?? [];
  assert.equal(unit, `${prefix}/node_modules/.bin/anki-sync`);
  for (const pattern of ['deploy/systemd/sysusers.conf', 'deploy/systemd/*.service', 'deploy/systemd/*.timer']) assert.ok(text.includes(pattern), pattern);
});

test('the lines of deployment.md that install files do so where Debian has the folders and no more', async (t) => {
  const root = await temporaryFolder(t);
  await mkdir(join(root, 'etc/systemd/system'), { recursive: true });
  const lines = (await page('deployment.md')).match(/^install .*$/gm) ?? [];
  assert.equal(lines.length, 2);
  for (const line of lines) await run('sh', ['-c', line.replace(/ && systemd-sysusers$/, '').replaceAll('/etc/', `${root}/etc/`)], { cwd: ROOT });
  assert.deepEqual(await readdir(join(root, 'etc/sysusers.d')), ['anki-sync.conf']);
  assert.deepEqual((await readdir(join(root, 'etc/systemd/system'))).sort(), (await readdir(join(ROOT, 'deploy/systemd'))).filter((name) => name !== 'sysusers.conf').sort());
});

test('packages that the pages tell to install are optional ones of ours, in the version that is asked for', async () => {
  const { peerDependencies } = JSON.parse(await readFile(join(ROOT, 'package.json'), 'utf8')) as { peerDependencies: Record<string, string> };
  let told = 0;
  for (const name of (await readdir(join(ROOT, 'docs'))).filter((each) => each.endsWith('.md'))) {
    for (const [, packages = ''] of (await page(name)).matchAll(/npm install(?: --prefix \S+)? ((?:[a-z][\w-]*@\d+ ?)+)/g)) {
      for (const [, each = '', major = ''] of packages.matchAll(/([\w-]+)@(\d+)/g)) {
        if (!Object.hasOwn(peerDependencies, each)) continue;
        told += 1;
        assert.match(peerDependencies[each]!, new RegExp(`^\\^${major}\\.`), `${name}: ${each}@${major}`);
      }
    }
  }
  assert.ok(told >= 6);
});

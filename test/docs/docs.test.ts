import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join, normalize } from 'node:path';
import test from 'node:test';
import { checkLdapOptions, ldapOptionNames } from '../../lib/auth/ldap/settings.ts';
import { LOGIN_LIMITS } from '../../lib/auth/login-limits.ts';
import { readConfigFile } from '../../lib/cli/config-file.ts';
import { clientAddressSources } from '../../lib/cli/client-address.ts';
import { helpText } from '../../lib/cli/help.ts';
import { ERROR_STATUS } from '../../lib/errors.ts';
import { serveFlags } from '../../lib/cli/settings.ts';
import { isKnownVariable, settings, tablesOfFile } from '../../lib/cli/settings-table.ts';
import { ROOT } from '../package/project-copy.ts';

const names = ['README.md', 'CHANGELOG.md', ...(await readdir(join(ROOT, 'docs'))).filter((name) => name.endsWith('.md')).map((name) => `docs/${name}`)];
const pages = new Map(await Promise.all(names.map(async (name) => [name, await readFile(join(ROOT, name), 'utf8')] as const)));
const optionsPage = pages.get('docs/options.md') ?? '';

test('every link between the pages leads somewhere', () => {
  for (const [name, text] of pages) {
    for (const [, target = ''] of text.matchAll(/\]\((?!https?:)([^)#]+)[^)]*\)/g)) {
      assert.ok(existsSync(join(ROOT, dirname(name), target)), `${name} links to ${target}`);
    }
  }
});

test('every link to a part of a page leads to a heading of it', () => {
  const anchors = new Map([...pages].map(([name, text]) => [name, new Set(anchorsOf(text))]));
  for (const [name, text] of pages) {
    for (const [, target = '', anchor = ''] of text.matchAll(/\]\((?!https?:)([^)#]*)#([^)]+)\)/g)) {
      const page = target === '' ? name : normalize(join(dirname(name), target));
      assert.ok(anchors.get(page)?.has(anchor), `${name} links to ${page}#${anchor}`);
    }
  }
});

/** Of the headings of a page, as GitHub makes them. */
function* anchorsOf(text: string): Generator<string> {
  for (const [, heading = ''] of text.replaceAll(/^```.*?^```$/gms, '').matchAll(/^#+ (.*)$/gm)) {
    yield heading.toLowerCase().replaceAll(/[^\p{L}\p{N} _-]/gu, '').replaceAll(' ', '-');
  }
}

test('the README leads to the index of docs, and every page is reached from there', () => {
  assert.ok(pages.get('README.md')?.includes('(docs/README.md)'));
  for (const name of names.filter((each) => each.startsWith('docs/') && each !== 'docs/README.md')) {
    assert.ok(pages.get('docs/README.md')?.includes(`(${name.replace('docs/', '')})`), name);
  }
});

test('every flag that a page names exists', async () => {
  const known = new Set([...helpText().matchAll(/--[a-z-]+/g)].map(([flag]) => flag));
  // of other programs
  for (const foreign of ['--syncserver', '--test', '--import', '--prefix', '--build', '--strip-components']) known.add(foreign);
  // of V8, which docs/performance.md tries; each may have a "no-" before it
  const ofEngine = new Set(execFileSync(process.execPath, ['--v8-options'], { encoding: 'utf8' }).match(/(?<=^ {2})--[a-z][a-z-]*/gm));
  // of scripts
  for (const own of ['--seed', '--rounds', '--shrink', '--verbose', '--root', '--plant']) known.add(own);
  for (const script of await readdir(join(ROOT, 'scripts'))) {
    if (!script.endsWith('.ts')) continue;
    for (const [, option] of (await readFile(join(ROOT, 'scripts', script), 'utf8')).matchAll(/'?([a-z][a-z-]*)'?: \{ type: '(?:string|boolean)'/g)) known.add(`--${option}`);
  }
  for (const [name, text] of pages) {
    for (const [flag] of text.matchAll(/(?<![\w-])--[a-z][a-z-]*/g)) assert.ok(known.has(flag) || ofEngine.has(flag.replace('--no-', '--')), `${name} names ${flag}`);
  }
});

test('docs/options.md has every flag, every source of addresses and every option', async () => {
  for (const flag of Object.keys(serveFlags)) assert.ok(optionsPage.includes(`\`--${flag} `), flag);
  for (const source of clientAddressSources) assert.ok(optionsPage.includes(`\`${source}\``), source);
  const source = await readFile(join(ROOT, 'lib/options.ts'), 'utf8');
  const body = /export interface SyncServerOptions \{(.*?)\n\}/s.exec(source)?.[1] ?? '';
  const options = [...body.matchAll(/^ {2}(\w+)\?:/gm)].map((match) => match[1]);
  assert.ok(options.length > 10);
  for (const option of options) assert.match(optionsPage, new RegExp(`^\\|.*\`${option}\`.*\\|.*\\|.*\\|$`, 'm'));
});

test('every flag of every command is on some page', () => {
  const all = [...pages.values()].join('\n');
  for (const [flag] of helpText().matchAll(/--[a-z-]+/g)) assert.ok(new RegExp(`${flag}(?![a-z-])`).test(all), flag);
});

test('where the code tells a number as the default of an option, docs/options.md tells the same', async () => {
  const source = await readFile(join(ROOT, 'lib/options.ts'), 'utf8');
  const body = /export interface SyncServerOptions \{(.*?)\n\}/s.exec(source)?.[1] ?? '';
  const told = [...body.matchAll(/\/\*\*((?:(?!\*\/).)*)\*\/\s+(\w+)\?:/gs)].map(([, comment = '', option = '']) => [option, /[Dd]efault:? ([^.;]*)/.exec(comment)?.[1] ?? ''] as const);
  const numbers = told.filter(([, text]) => /\d/.test(text));
  assert.ok(numbers.length >= 10);
  for (const [option, text] of numbers) {
    const [, shown = ''] = new RegExp(`^\\| (?:.*, )?\`${option}\`(?:,[^|]*)? \\| (.*?) \\|`, 'm').exec(optionsPage.slice(optionsPage.indexOf('## `createSyncServer'))) ?? [];
    assert.deepEqual(shown.match(/\d+/g), text.match(/\d+/g), `${option}: ${text} and ${shown}`);
  }
});

test('docs/options.md has every limit for logins, with its default', () => {
  const told = [...optionsPage.matchAll(/^\| (`\w+`(?:, `\w+`)*) \| (\d+(?:, \d+)*) \|/gm)]
    .flatMap(([, names = '', values = '']) => names.replaceAll('`', '').split(', ').map((name, i) => [name, Number(values.split(', ')[i])] as const));
  for (const [name, value] of Object.entries(LOGIN_LIMITS)) assert.equal(new Map(told).get(name), value, name);
});

test('docs/options.md has every option of a directory, with its default', () => {
  const part = /### Users of an LDAP directory(.*?)\n### /s.exec(optionsPage)?.[1] ?? '';
  const told = new Map([...part.matchAll(/^\|[^|]*\|[^|]*\| `(\w+)` \| (.*?) \|/gm)].map(([, name = '', value = '']) => [name, value]));
  assert.deepEqual([...told.keys()].sort(), [...ldapOptionNames].sort());
  const defaults = checkLdapOptions({ url: 'ldaps://a', bindDn: 'cn=a', bindPassword: 'b', searchBase: 'dc=a' });
  assert.equal(told.get('timeoutMillis'), String(defaults.timeoutMillis / 1000));
  assert.equal(told.get('recheckMinutes'), String(defaults.recheckMinutes));
  assert.equal(told.get('userFilter'), `\`${defaults.userFilter}\``);
});

test('docs/options.md has every option of a provider of OpenID Connect, and of the server behind a gateway', async () => {
  for (const [file, name, heading] of [
    ['lib/auth/oidc/settings.ts', 'OidcOptions', '### Users of a provider of OpenID Connect'],
    ['lib/gateway/settings.ts', 'UpstreamOptions', '## `anki-sync gateway`'],
  ] as const) {
    const body = new RegExp(`export interface ${name} \\{(.*?)\\n\\}`, 's').exec(await readFile(join(ROOT, file), 'utf8'))?.[1] ?? '';
    const options = [...body.matchAll(/^ {2}(?:readonly )?(\w+)\??:/gm)].map(([, option = '']) => option);
    assert.ok(options.length >= 4, name);
    const part = optionsPage.slice(optionsPage.indexOf(heading)).split(/\n##+ /)[0]!;
    const told = [...part.matchAll(/^\|.*\|$/gm)].join('\n');
    for (const option of options) assert.ok(told.includes(`| \`${option}\` |`), `${name}.${option}`);
  }
});

test('docs/options.md has every variable and every table of the file, and no page has one that does not exist', () => {
  const inTables = new Set([...optionsPage.matchAll(/^\|.*\|$/gm)].flatMap(([row]) => [...row.matchAll(/`([A-Z][A-Z0-9_]{3,})[`=]/g)].map((match) => match[1]!)));
  for (const { variable } of settings) assert.ok(inTables.has(variable) || optionsPage.includes(`\`${variable}\``), variable);
  for (const table of tablesOfFile()) assert.ok(optionsPage.includes(`\`[${table}]\``) || optionsPage.includes(`\`[[${table}]]\``), table);
  for (const variable of inTables) assert.ok(isKnownVariable(variable) || /^ANKISYNCD_/.test(variable), `docs/options.md names ${variable}`);
});

test('the configuration file that docs/options.md shows can be read, with every key known', async (t) => {
  const [, text = ''] = /```toml\n(.*?)```/s.exec(optionsPage) ?? [];
  assert.match(text, /^port = /m);
  const folder = await mkdtemp(join(tmpdir(), 'anki-sync-docs-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  await writeFile(join(folder, 'anki-sync.toml'), text);
  assert.ok(readConfigFile(join(folder, 'anki-sync.toml')).settings.size >= 8);
});

test('docs/architecture.md has every folder of lib and adapters, and names no file that is gone', async () => {
  const [, tree = ''] = /```\n(lib\/\n.*?)```/s.exec(pages.get('docs/architecture.md') ?? '') ?? [];
  const named = new Map<string, string[]>();
  let room = '';
  for (const line of tree.split('\n')) {
    const [, indent = '', names = ''] = /^( {0,2})(\S+(?: \S+)*)/.exec(line) ?? [];
    if (indent === '' && names !== '') room = names.split(/ {2,}/)[0]!;
    else if (indent === '  ') named.set(room, [...(named.get(room) ?? []), ...names.split(' ').filter((name) => /^[\w-]+(\/|\.ts)$/.test(name))]);
  }
  for (const folder of ['lib/', 'adapters/']) {
    const there = (await readdir(join(ROOT, folder), { withFileTypes: true })).map((entry) => `${entry.name}${entry.isDirectory() ? '/' : ''}`);
    const shown = named.get(folder) ?? [];
    for (const name of there.filter((each) => each.endsWith('/'))) assert.ok(shown.includes(name), `${folder}${name} is not in the tree`);
    for (const name of shown) assert.ok(there.includes(name), `the tree names ${folder}${name}`);
  }
});

test('every script that a page runs is one of package.json, and every try is on a page', async () => {
  const { scripts } = JSON.parse(await readFile(join(ROOT, 'package.json'), 'utf8')) as { scripts: Record<string, string> };
  const all = [...pages.values()].join('\n');
  for (const [, name = ''] of all.matchAll(/npm run (?:-s )?([a-z][a-z:-]*)/g)) assert.ok(Object.hasOwn(scripts, name), `npm run ${name}`);
  for (const name of Object.keys(scripts).filter((each) => each.startsWith('try:'))) assert.ok(new RegExp(`${name}\\b`).test(all), name);
});

test('every status of an error is in the table of what Anki makes of it', () => {
  const page = pages.get('docs/errors.md') ?? '';
  const table = page.slice(0, page.indexOf('\n## '));
  const told = [...table.matchAll(/^\| ([\d, ]+) \|/gm)].flatMap(([, statuses = '']) => statuses.split(', ').map(Number));
  for (const status of Object.values(ERROR_STATUS)) assert.ok(told.includes(status), String(status));
});

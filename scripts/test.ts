/**
 * `npm test [part of a file name …]`: checks the types, then runs every test file (or those whose path contains an argument).
 * Ends with the plain line `N passed, N failed` (`, N skipped`), and with exit code 1 if anything failed.
 */
import { spawn } from 'node:child_process';
import { globSync, readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';
import { buildCurrentCaddy, CaddyMissing, CURRENT_CADDY_VERSION, currentCaddy, tellWhyMissing } from '../test/proxies/current-caddy.ts';
import { matrixText, runFiles, type Matrix, type Tally } from './reporter.ts';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const OLDEST_NODE = [24, 7] as const;

const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
if (major < OLDEST_NODE[0] || (major === OLDEST_NODE[0] && minor < OLDEST_NODE[1])) {
  console.error(`the tests need Node.js ${OLDEST_NODE.join('.')} or newer, this is ${process.versions.node}: use "npm test", which takes the project's own`);
  process.exit(1);
}
process.chdir(ROOT);

const wanted = process.argv.slice(2);
const files = globSync('test/**/*.test.ts')
  .map((file) => file.replaceAll('\\', '/'))
  .filter((file) => wanted.length === 0 || wanted.some((part) => file.includes(part)))
  .sort(longestFirst);
if (files.length === 0) {
  console.error(`no test file matches ${wanted.join(' ')}`);
  process.exit(1);
}

const startedAt = performance.now();
const total: Tally = { passed: 0, failed: 0, skipped: 0 };
// built meanwhile: the suites that need it come last
const needCaddy = 'missing' in currentCaddy() ? files.filter((file) => readFileSync(file, 'utf8').includes('currentCaddy()')) : [];
const caddy = needCaddy.length > 0 ? buildCaddy() : undefined;
add(total, await checkTypes());
const matrix: Matrix = new Map();
const concurrency = Math.max(2, Math.min(4, availableParallelism()));
add(total, await runFiles(files.filter((file) => !needCaddy.includes(file)), concurrency, matrix));
if (caddy !== undefined) add(total, await caddy);
add(total, await runFiles(needCaddy, concurrency, matrix));
if (matrix.size > 0) console.log(`\n${matrixText(matrix)}`);
const seconds = ((performance.now() - startedAt) / 1000).toFixed(1);
console.log(`\n${files.length} suites and the type check in ${seconds} s`);
console.log(`${total.passed} passed, ${total.failed} failed${total.skipped > 0 ? `, ${total.skipped} skipped` : ''}`);
process.exit(total.failed > 0 ? 1 : 0);

/** The suites with real clients and the installed package take minutes: begun first, they do not run alone at the end. */
function longestFirst(a: string, b: string): number {
  const weight = (file: string): number => (file.startsWith('test/client/') ? 0 : file.startsWith('test/package/') ? 1 : 2);
  return weight(a) - weight(b) || a.localeCompare(b);
}

function add(sum: Tally, part: Tally): void {
  sum.passed += part.passed;
  sum.failed += part.failed;
  sum.skipped += part.skipped;
}

/** Where it cannot be had, the suites skip, and say why. */
async function buildCaddy(): Promise<Tally> {
  const begunAt = performance.now();
  const outcome = await buildCurrentCaddy().then(() => undefined, (error: unknown) => error);
  const time = ((performance.now() - begunAt) / 1000).toFixed(1);
  if (outcome instanceof CaddyMissing) {
    tellWhyMissing(outcome);
    return { passed: 0, failed: 0, skipped: 0 };
  }
  console.log(`${outcome === undefined ? '✔' : '✖'} Caddy ${CURRENT_CADDY_VERSION}, built in the background (${time} s)`);
  if (outcome !== undefined) console.log(String(outcome).replaceAll(/^/gm, '    '));
  return { passed: outcome === undefined ? 1 : 0, failed: outcome === undefined ? 0 : 1, skipped: 0 };
}

function checkTypes(): Promise<Tally> {
  const begunAt = performance.now();
  return new Promise((resolve) => {
    const tsc = fileURLToPath(new URL('../node_modules/typescript/bin/tsc', import.meta.url));
    const child = spawn(process.execPath, [tsc, '-p', 'tsconfig.json', '--pretty', 'false'], { stdio: ['ignore', 'pipe', 'pipe'] });
    let output = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => (output += text));
    child.stderr.setEncoding('utf8').on('data', (text: string) => (output += text));
    child.on('close', (code) => {
      const time = ((performance.now() - begunAt) / 1000).toFixed(1);
      console.log(`${code === 0 ? '✔' : '✖'} type check (${time} s)`);
      if (code !== 0) console.log(output.replaceAll(/^/gm, '    '));
      resolve({ passed: code === 0 ? 1 : 0, failed: code === 0 ? 0 : 1, skipped: 0 });
    });
  });
}

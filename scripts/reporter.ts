/** Runs test files, each in its own process, and prints one line per suite with its time; failures and skips say what and why. */
import { resolve, relative } from 'node:path';
import { run } from 'node:test';
import { inspect } from 'node:util';

export interface Tally {
  passed: number;
  failed: number;
  skipped: number;
}

/** Outcomes of the same scenarios on several servers: scenario → mount → what came of it. */
export type Matrix = Map<string, Map<string, 'passed' | 'failed' | 'skipped'>>;

/** A suite that hangs must not hold up the rest for ever. */
const SUITE_LIMIT_MS = 10 * 60_000;

interface Suite extends Tally {
  output: string;
  notes: string[];
  millis: number;
  /** Of the tests inside a suite of the file, by the suite's name. */
  inside: { suite: string; test: string; outcome: 'passed' | 'failed' | 'skipped' }[];
}

/** Runs the files in this order, `concurrency` at a time. */
export async function runFiles(files: string[], concurrency: number, matrix: Matrix = new Map()): Promise<Tally> {
  const total: Tally = { passed: 0, failed: 0, skipped: 0 };
  const waiting = [...files];
  const worker = async (): Promise<void> => {
    for (let file = waiting.shift(); file !== undefined; file = waiting.shift()) {
      const suite = await runFile(file);
      printSuite(relative(process.cwd(), resolve(file)), suite);
      addToMatrix(matrix, suite);
      total.passed += suite.passed;
      total.failed += suite.failed;
      total.skipped += suite.skipped;
    }
  };
  await Promise.all(Array.from({ length: concurrency }, worker));
  return total;
}

/** One at a time, because the runner tells of a test where it is written, and some are written in modules that several files share. */
async function runFile(file: string): Promise<Suite> {
  const suite: Suite = { passed: 0, failed: 0, skipped: 0, output: '', notes: [], millis: 0, inside: [] };
  let succeeded = true;
  let open: Suite['inside'] = [];
  for await (const { type, data } of run({ files: [resolve(file)], timeout: SUITE_LIMIT_MS, isolation: 'process' })) {
    if (type === 'test:stdout' || type === 'test:stderr') {
      suite.output = (suite.output + data.message).slice(-20_000);
    } else if (type === 'test:pass' || type === 'test:fail') {
      // a suite is told of after all that it has
      if (data.nesting === 0) {
        suite.inside.push(...open.map((each) => ({ ...each, suite: data.name })));
        open = [];
      } else if (data.nesting === 1) {
        const skipped = data.skip !== undefined && data.skip !== false;
        open.push({ suite: '', test: data.name, outcome: skipped ? 'skipped' : type === 'test:pass' ? 'passed' : 'failed' });
      }
      if (type === 'test:fail' && isOnlyBecauseOfSubtests(data.details.error)) continue;
      if (type === 'test:pass' && data.details.type === 'suite') continue;
      if (data.skip !== undefined && data.skip !== false) {
        suite.skipped += 1;
        suite.notes.push(`skipped: ${data.name}${typeof data.skip === 'string' ? ` (${data.skip})` : ''}`);
      } else if (type === 'test:pass' || (data.todo !== undefined && data.todo !== false)) {
        suite.passed += 1;
      } else {
        suite.failed += 1;
        suite.notes.push(`✖ ${data.name} (line ${data.line ?? '?'})\n${describe(data.details.error)}`);
      }
    } else if (type === 'test:summary') {
      suite.millis = data.duration_ms;
      succeeded = data.success;
    }
  }
  // the runner's own verdict counts too, for what no event told
  if (!succeeded && suite.failed === 0) suite.failed = 1;
  return suite;
}

function printSuite(name: string, suite: Suite): void {
  const counts = `${suite.passed} passed${suite.failed > 0 ? `, ${suite.failed} failed` : ''}${suite.skipped > 0 ? `, ${suite.skipped} skipped` : ''}`;
  console.log(`${suite.failed > 0 ? '✖' : '✔'} ${name}: ${counts} (${(suite.millis / 1000).toFixed(1)} s)`);
  for (const note of suite.notes) console.log(note.replaceAll(/^/gm, '    '));
  if (suite.failed > 0 && suite.output.trim() !== '') console.log(`    it printed:\n${suite.output.trimEnd().replaceAll(/^/gm, '    | ')}`);
}

/** Suites whose names are `Real clients …, mount` or `Large media, mount`. */
function addToMatrix(matrix: Matrix, { inside }: Suite): void {
  for (const { suite, test, outcome } of inside) {
    const mount = /^(?:Real clients|Large media)[^,]*, (.+)$/.exec(suite)?.[1];
    if (mount === undefined) continue;
    const row = matrix.get(test) ?? new Map();
    matrix.set(test, row.set(mount, outcome));
  }
}

/** One line per scenario, one column per mount. Of a part of the suites, only what was played. */
export function matrixText(matrix: Matrix): string {
  const mounts = [...new Set([...matrix.values()].flatMap((row) => [...row.keys()]))].sort();
  const mark = { passed: '✔', failed: '✖', skipped: '–' };
  const lines = [...matrix].map(([scenario, row]) => {
    const cells = mounts.map((mount) => mark[row.get(mount)!] ?? '·');
    return `  ${cells.map((cell) => cell.padEnd(3)).join('')} ${scenario}`;
  });
  return [
    'Mount × scenario of real clients (✔ passed, ✖ failed, – skipped, · not played there)',
    ...mounts.map((mount, i) => `  ${i + 1} ${mount}`),
    `  ${mounts.map((_mount, i) => String(i + 1).padEnd(3)).join('')}`,
    ...lines,
  ].join('\n');
}

/** A parent of a failed test fails too; only the test itself counts. */
function isOnlyBecauseOfSubtests(error: Error): boolean {
  return (error as Error & { failureType?: string }).failureType === 'subtestsFailed';
}

function describe(error: Error): string {
  const cause = error.cause ?? error;
  return cause instanceof Error ? (cause.stack ?? inspect(cause)) : inspect(cause, { depth: 4 });
}

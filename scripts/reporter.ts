/** Runs test files, each in its own process, and prints one line per suite with its time; failures and skips say what and why. */
import { resolve, relative } from 'node:path';
import { run } from 'node:test';
import { inspect } from 'node:util';

export interface Tally {
  passed: number;
  failed: number;
  skipped: number;
}

/** A suite that hangs must not hold up the rest for ever. */
const SUITE_LIMIT_MS = 10 * 60_000;

interface Suite extends Tally {
  output: string;
  notes: string[];
}

export async function runFiles(files: string[], concurrency: number): Promise<Tally> {
  const suites = new Map<string, Suite>();
  const printed = new Set<string>();
  let succeeded = true;
  const suiteOf = (file: string | undefined): Suite => {
    const name = file === undefined ? '?' : relative(process.cwd(), file);
    const found = suites.get(name) ?? { passed: 0, failed: 0, skipped: 0, output: '', notes: [] };
    suites.set(name, found);
    return found;
  };

  const events = run({ files: files.map((file) => resolve(file)), concurrency, timeout: SUITE_LIMIT_MS, isolation: 'process' });
  for await (const { type, data } of events) {
    if (type === 'test:stdout' || type === 'test:stderr') {
      const suite = suiteOf(data.file);
      suite.output = (suite.output + data.message).slice(-20_000);
    } else if (type === 'test:pass' || type === 'test:fail') {
      if (type === 'test:fail' && isOnlyBecauseOfSubtests(data.details.error)) continue;
      if (type === 'test:pass' && data.details.type === 'suite') continue;
      const suite = suiteOf(data.file);
      if (data.skip !== undefined && data.skip !== false) {
        suite.skipped += 1;
        suite.notes.push(`skipped: ${data.name}${typeof data.skip === 'string' ? ` (${data.skip})` : ''}`);
      } else if (type === 'test:pass' || (data.todo !== undefined && data.todo !== false)) {
        suite.passed += 1;
      } else {
        suite.failed += 1;
        suite.notes.push(`✖ ${data.name} (line ${data.line ?? '?'})\n${describe(data.details.error)}`);
      }
    } else if (type === 'test:summary' && data.file === undefined) {
      succeeded = data.success;
    } else if (type === 'test:summary' && data.file !== undefined) {
      const name = relative(process.cwd(), data.file);
      printed.add(name);
      printSuite(name, suiteOf(data.file), data.duration_ms);
    }
  }

  const total: Tally = { passed: 0, failed: 0, skipped: 0 };
  for (const [name, suite] of suites) {
    // a file that ended before its tests could report has no summary of its own
    if (!printed.has(name)) printSuite(name, suite);
    total.passed += suite.passed;
    total.failed += suite.failed;
    total.skipped += suite.skipped;
  }
  // the runner's own verdict counts too, for what no event told
  if (!succeeded && total.failed === 0) total.failed = 1;
  return total;
}

function printSuite(name: string, suite: Suite, millis?: number): void {
  const counts = `${suite.passed} passed${suite.failed > 0 ? `, ${suite.failed} failed` : ''}${suite.skipped > 0 ? `, ${suite.skipped} skipped` : ''}`;
  console.log(`${suite.failed > 0 ? '✖' : '✔'} ${name}: ${counts}${millis === undefined ? '' : ` (${(millis / 1000).toFixed(1)} s)`}`);
  for (const note of suite.notes) console.log(note.replaceAll(/^/gm, '    '));
  if (suite.failed > 0 && suite.output.trim() !== '') console.log(`    it printed:\n${suite.output.trimEnd().replaceAll(/^/gm, '    | ')}`);
}

/** A parent of a failed test fails too; only the test itself counts. */
function isOnlyBecauseOfSubtests(error: Error): boolean {
  return (error as Error & { failureType?: string }).failureType === 'subtestsFailed';
}

function describe(error: Error): string {
  const cause = error.cause ?? error;
  return cause instanceof Error ? (cause.stack ?? inspect(cause)) : inspect(cause, { depth: 4 });
}

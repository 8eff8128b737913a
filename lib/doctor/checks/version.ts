/** The server's version beside that of this command. */
import { packageVersion } from '../../package-version.ts';
import { right, skipped, warning, type Finding } from '../finding.ts';
import type { Visit } from '../visit.ts';
import { quoted } from '../words.ts';

const CHECK = 'version';

export async function checkVersion({ kind, report }: Visit): Promise<Finding[]> {
  const own = packageVersion();
  if (kind === 'older') return [warning(CHECK, 'SERVER_OLD', `the server is older than this command (${own}), and cannot be examined as a whole`)];
  if (kind === 'closed') return [skipped(CHECK, 'the server answers no examinations (its option doctor, DOCTOR, is false): switch them on for this, and much more is seen')];
  if (report === undefined) return [];
  if (isOlder(report.version, own)) return [warning(CHECK, 'SERVER_OLD', `the server is ${quoted(report.version)}, and this command ${own}`)];
  return [right(CHECK, quoted(report.version))];
}

/** `0.9.0` before `0.10.0`; what follows a dash does not count. */
export function isOlder(version: string, than: string): boolean {
  const [a, b] = [numbersOf(version), numbersOf(than)];
  const i = a.findIndex((number, at) => number !== b[at]);
  return i >= 0 && a[i]! < b[i]!;
}

function numbersOf(version: string): number[] {
  const parts = version.split('-', 1)[0]!.split('.');
  return [0, 1, 2].map((i) => Number(parts[i]) || 0);
}

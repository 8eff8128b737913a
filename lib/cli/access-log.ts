/** One line per request, for people and for grep: `time level request status milliseconds key=value …`. */
import type { LogEntry } from '../options.ts';

/** Health checks come every few seconds, and say nothing as long as they succeed. */
export function isWorthALine({ request, status }: LogEntry): boolean {
  return !(status === 200 && /^(GET|HEAD) \/health\/?$/.test(request));
}

const DETAILS = ['event', 'user', 'client', 'version', 'address', 'code', 'detail'] as const satisfies (keyof LogEntry)[];

export function logLine(entry: LogEntry, at: Date): string {
  const { level, request, status, ms } = entry;
  const words = [at.toISOString(), level, request.split(' ').map(plain).join(' '), String(status), `${Math.round(ms)}ms`];
  for (const name of DETAILS) if (entry[name] !== undefined) words.push(`${name}=${plain(String(entry[name]))}`);
  return words.join(' ');
}

/** Text from outside may hold line ends and terminal codes: whatever is not plainly one word is quoted, with those escaped. */
function plain(text: string): string {
  if (/^[\w.:/@,;+%~-]+$/.test(text) || /^[\p{L}\p{N}\p{M}._:/@,;+%~-]+$/u.test(text)) return text;
  return JSON.stringify(text).replaceAll(/[^\p{L}\p{N}\p{M}\p{P}\p{S} ]/gu, (char) => `\\u{${char.codePointAt(0)!.toString(16)}}`);
}

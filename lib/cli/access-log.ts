/** One line per request, for people and for grep: `time level request status milliseconds key=value …`. */
import type { LogEntry } from '../options.ts';

/** Health checks come every few seconds, and say nothing as long as they succeed. */
export function isWorthALine({ request, status }: LogEntry): boolean {
  return !(status === 200 && /^(GET|HEAD) \/(health|ready)\/?$/.test(request));
}

/** Lines of some requests are written at once: nobody waits for a line, and under load a write each costs as much as all else of the log. */
const GATHER_MILLIS = 50;

/** The log of requests. An error, and the end of the process, bring out what was gathered. */
export class AccessLog {
  readonly #write: (text: string) => void;
  #gathered: { entry: LogEntry; atMillis: number }[] = [];
  #timer: NodeJS.Timeout | undefined;
  readonly #atExit = (): void => this.flush();
  #closed = false;

  constructor(write: (text: string) => void) {
    this.#write = write;
    process.on('exit', this.#atExit);
  }

  add(entry: LogEntry): void {
    this.#gathered.push({ entry, atMillis: Date.now() });
    if (entry.level === 'error' || this.#closed) this.flush();
    else this.#timer ??= setTimeout(() => this.flush(), GATHER_MILLIS);
  }

  /** Called before anything else is written, so that all stands in its order. */
  flush(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#gathered.length === 0) return;
    const lines = this.#gathered.map(({ entry, atMillis }) => `${logLine(entry, new Date(atMillis))}\n`);
    this.#gathered = [];
    this.#write(lines.join(''));
  }

  /** From here on, every line is written at once: the process may be ended at any moment. */
  close(): void {
    this.#closed = true;
    this.flush();
    process.off('exit', this.#atExit);
  }
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

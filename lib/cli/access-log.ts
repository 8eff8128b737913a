/** One line per request, for people and for grep: `time level request status milliseconds key=value …`. */
import type { SyncReport } from '../activity.ts';
import type { LogEntry } from '../options.ts';

/** Health checks come every few seconds, and say nothing as long as they succeed. */
export function isWorthALine({ request, status }: LogEntry): boolean {
  return !(status === 200 && /^(GET|HEAD) \/(health|ready)\/?$/.test(request));
}

/** Lines of some requests are written at once: nobody waits for a line, and under load a write each costs as much as all else of the log. */
const GATHER_MILLIS = 50;

/** How the log looks; without the end of a line. */
export interface LogFormat {
  entry(entry: LogEntry, at: Date): string;
  /** What is no request: said at start, and at the end. */
  words(line: string, at: Date): string;
}

export const TEXT_LOG: LogFormat = { entry: logLine, words: (line) => line };

/** The log of requests. What says more than that a step was done, and the end of the process, bring out what was gathered. */
export class AccessLog {
  readonly #write: (text: string) => void;
  readonly #format: LogFormat;
  #gathered: { entry: LogEntry; atMillis: number }[] = [];
  #timer: NodeJS.Timeout | undefined;
  readonly #atExit = (): void => this.flush();
  #closed = false;

  constructor(write: (text: string) => void, format: LogFormat = TEXT_LOG) {
    this.#write = write;
    this.#format = format;
    process.on('exit', this.#atExit);
  }

  add(entry: LogEntry): void {
    this.#gathered.push({ entry, atMillis: Date.now() });
    if (entry.level !== 'info' || entry.event !== undefined || entry.detail !== undefined || this.#closed) this.flush();
    else this.#timer ??= setTimeout(() => this.flush(), GATHER_MILLIS);
  }

  say(line: string): void {
    this.flush();
    this.#write(`${this.#format.words(line, new Date())}\n`);
  }

  /** Called before anything else is written, so that all stands in its order. */
  flush(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#gathered.length === 0) return;
    const lines = this.#gathered.map(({ entry, atMillis }) => `${this.#format.entry(entry, new Date(atMillis))}\n`);
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
  if (entry.sync !== undefined) words.push(moved(entry.sync));
  return words.join(' ');
}

/** `kind=normal up=12/3400 down=0/120`: objects and bytes. */
function moved({ kind, up, down }: SyncReport): string {
  return `kind=${kind} up=${up.objects}/${up.bytes} down=${down.objects}/${down.bytes}`;
}

/** Text from outside may hold line ends and terminal codes: whatever is not plainly one word is quoted, with those escaped. */
function plain(text: string): string {
  if (/^[\w.:/@,;+%~-]+$/.test(text) || /^[\p{L}\p{N}\p{M}._:/@,;+%~-]+$/u.test(text)) return text;
  return JSON.stringify(text).replaceAll(/[^\p{L}\p{N}\p{M}\p{P}\p{S} ]/gu, (char) => `\\u{${char.codePointAt(0)!.toString(16)}}`);
}

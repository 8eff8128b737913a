import { sized } from './quantities.ts';

export interface ProgressBar {
  /** `ofBytes`: all that there is to do, from which it knows how far it is. */
  add(bytes: number, ofBytes?: number): void;
  /** Takes the bar away, so that a line can be written. */
  clear(): void;
}

const BETWEEN_MILLIS = 100;
const CHARS = 30;

/** One line at a terminal that is written over again and again; nothing where the stream is none. */
export function progressBar(stream: NodeJS.WriteStream, doing: string): ProgressBar {
  if (!stream.isTTY) return { add() {}, clear() {} };
  let done = 0;
  let shownAt = 0;
  return {
    add(bytes, ofBytes = 0) {
      done += bytes;
      if (Date.now() - shownAt < BETWEEN_MILLIS && done < ofBytes) return;
      shownAt = Date.now();
      stream.write(`\r\x1b[K${doing}${ofBytes === 0 ? '' : ` ${bar(done, ofBytes)}`}${done === 0 ? '' : ` ${sized(done)}`}`);
    },
    clear() {
      if (shownAt > 0) stream.write('\r\x1b[K');
    },
  };
}

function bar(done: number, ofBytes: number): string {
  const part = Math.min(1, done / ofBytes);
  return `[${'#'.repeat(Math.round(part * CHARS)).padEnd(CHARS)}] ${Math.floor(part * 100)}%`;
}

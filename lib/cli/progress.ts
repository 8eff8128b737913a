import { sized } from './quantities.ts';

export interface ProgressBar {
  add(bytes: number): void;
  /** Takes the bar away, so that a line can be written. */
  clear(): void;
}

const BETWEEN_MILLIS = 100;

/** One line at a terminal that is written over again and again; nothing where the stream is none. */
export function progressBar(stream: NodeJS.WriteStream, doing: string, totalBytes?: number): ProgressBar {
  if (!stream.isTTY) return { add() {}, clear() {} };
  let done = 0;
  let shownAt = 0;
  return {
    add(bytes) {
      done += bytes;
      if (Date.now() - shownAt < BETWEEN_MILLIS) return;
      shownAt = Date.now();
      const part = totalBytes === undefined || totalBytes === 0 ? undefined : Math.min(1, done / totalBytes);
      const bar = part === undefined ? '' : ` [${'#'.repeat(Math.round(part * 30)).padEnd(30)}] ${Math.floor(part * 100)}%`;
      stream.write(`\r\x1b[K${doing}${bar} ${sized(done)}`);
    },
    clear() {
      if (shownAt > 0) stream.write('\r\x1b[K');
    },
  };
}

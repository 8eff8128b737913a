/** Text from outside, for a terminal. */
import type { IncomingHttpHeaders } from 'node:http';
import type { NoAnswer } from './wire.ts';

/** One line of at most 100 characters, without what steers terminals. */
export function quoted(text: string): string {
  const plain = text.replaceAll(/[\p{C}\s]+/gu, ' ').trim();
  return plain.length > 100 ? `${plain.slice(0, 100)}…` : plain;
}

/** Who says to be the server or proxy: ` by nginx/1.22.1`. */
export function byWhom(headers: IncomingHttpHeaders): string {
  return headers.server === undefined ? '' : ` by ${quoted(String(headers.server))}`;
}

const SOUNDS: Readonly<Record<string, string>> = {
  ECONNRESET: 'the connection was cut',
  EPIPE: 'the connection was cut',
  SILENT: 'no answer came in time',
  ETIMEDOUT: 'no answer came in time',
};

export function failure({ code }: NoAnswer): string {
  return SOUNDS[code] ?? quoted(code);
}

export function sized(bytes: number): string {
  return bytes >= 1024 * 1024 ? `${(bytes / 1024 / 1024).toFixed(1).replace(/\.0$/, '')} MiB` : `${Math.ceil(bytes / 1024)} KiB`;
}

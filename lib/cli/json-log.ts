/** The log as one JSON object a line, by pino: for programs that collect logs. */
import { createRequire } from 'node:module';
import type { LogEntry } from '../options.ts';
import { UsageError } from './usage-error.ts';
import type { LogFormat } from './access-log.ts';

/** Nothing of this is in an entry; should something ever be, it does not get out. */
const NEVER = ['password', 'p', 'hostKey', 'hkey', 'k', 'sessionKey', 's', 'sk', 'token', 'authorization', 'headers'];

/** @throws UsageError where pino is not installed, which is needed for this alone */
export function jsonLogFormat(): LogFormat {
  let pino: typeof import('pino').pino;
  try {
    pino = (createRequire(import.meta.url)('pino') as typeof import('pino')).pino;
  } catch {
    throw new UsageError('LOG_FORMAT=json needs the package pino: npm install pino@10');
  }
  let at = new Date(0);
  let written = '';
  const logger = pino(
    {
      base: null,
      timestamp: () => `,"time":"${at.toISOString()}"`,
      formatters: { level: (label) => ({ level: label }) },
      redact: { paths: [...NEVER], censor: '[secret]' },
    },
    { write: (line: string) => void (written = line) },
  );
  return {
    entry({ level, ...fields }: LogEntry, when) {
      at = when;
      logger[level](fields);
      return written.trimEnd();
    },
    words(line, when) {
      at = when;
      logger.info(line);
      return written.trimEnd();
    },
  };
}

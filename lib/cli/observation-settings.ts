/** `--log-…`, `--metrics…` and their variables → how the log looks, and where the metrics are. */
import { isIP } from 'node:net';
import { hint } from '../spelling.ts';
import type { Environment } from './configuration.ts';
import type { FlagKinds } from './flags.ts';
import { secretSetting } from './secret-settings.ts';
import { UsageError } from './usage-error.ts';

export const observationFlags = {
  'log-format': 'value',
  'log-level': 'value',
  metrics: 'value',
  'metrics-token-file': 'value',
} as const satisfies FlagKinds;

/** Of flags above; the token itself is no argument. */
export const observationVariables: readonly string[] = ['METRICS_TOKEN'];

export interface MetricsSettings {
  /** A port of its own, or `/metrics` of the server's. */
  at: { host: string; port: number } | 'path';
  token: string | undefined;
}

export interface ObservationSettings {
  format: 'text' | 'json';
  /** Undefined: what an old community server was told, or all. */
  leastLevel: 'info' | 'warn' | 'error' | undefined;
  metrics: MetricsSettings | undefined;
}

const LEVELS = { trace: 'info', debug: 'info', info: 'info', warn: 'warn', warning: 'warn', error: 'error' } as const;

/** @throws UsageError */
export function observationSettings(flags: ReadonlyMap<string, string>, env: Environment): ObservationSettings {
  const text = (flag: keyof typeof observationFlags, variable: string): string | undefined => flags.get(flag) ?? (env[variable] || undefined);
  const format = text('log-format', 'LOG_FORMAT') ?? 'text';
  if (format !== 'text' && format !== 'json') {
    throw new UsageError(`LOG_FORMAT must be text or json, not "${format}".${hint(format, ['text', 'json'])}`);
  }
  const level = text('log-level', 'LOG_LEVEL')?.toLowerCase();
  if (level !== undefined && !Object.hasOwn(LEVELS, level)) {
    throw new UsageError(`LOG_LEVEL must be one of info, warn, error, not "${level}".${hint(level, Object.keys(LEVELS))}`);
  }
  const token = secretSetting('METRICS_TOKEN', env, flags.get('metrics-token-file'));
  return {
    format,
    leastLevel: level === undefined ? undefined : LEVELS[level as keyof typeof LEVELS],
    metrics: metricsSettings(text('metrics', 'METRICS'), token),
  };
}

function metricsSettings(where: string | undefined, token: string | undefined): MetricsSettings | undefined {
  if (where === undefined || where === 'off') {
    if (token === undefined) return undefined;
    throw new UsageError('METRICS_TOKEN is set, but METRICS is not: say where they shall be, like METRICS=127.0.0.1:9464');
  }
  if (token !== undefined && !/^[\x21-\x7e]{16,}$/.test(token)) {
    throw new UsageError('METRICS_TOKEN must have at least 16 characters, without spaces: make one with "openssl rand -hex 32"');
  }
  const at = where === 'path' ? where : addressIn(where);
  const isOpen = at === 'path' || !(at.host === '127.0.0.1' || at.host === '::1' || at.host === 'localhost');
  if (isOpen && token === undefined) {
    throw new UsageError(`METRICS=${where} can be reached by others: set METRICS_TOKEN_FILE, or METRICS=127.0.0.1:9464`);
  }
  return { at, token };
}

/** `9464`, `127.0.0.1:9464`, `[::]:9464`, `localhost:9464`. */
function addressIn(where: string): { host: string; port: number } {
  const [, bracketed, plain, digits = ''] = /^(?:(?:\[([\da-f:.]+)\]|([\w.-]+)):)?(\d{1,5})$/i.exec(where) ?? [];
  const host = bracketed ?? plain ?? '127.0.0.1';
  if (digits === '' || Number(digits) > 65535 || (bracketed !== undefined && isIP(bracketed) !== 6)) {
    throw new UsageError(`METRICS must be "path", a port, or an address and a port like 127.0.0.1:9464, not "${where}"`);
  }
  return { host, port: Number(digits) };
}

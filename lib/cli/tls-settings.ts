/** `--tls-…` and `TLS_…` → certificate, key, and a plain port beside them. */
import { resolve } from 'node:path';
import type { Environment } from './configuration.ts';
import type { FlagKinds } from './flags.ts';
import { secretSetting } from './secret-settings.ts';
import type { TlsFiles } from './tls-files.ts';
import { UsageError } from './usage-error.ts';

export const tlsFlags = {
  'tls-cert': 'value',
  'tls-key': 'value',
  'tls-key-passphrase-file': 'value',
  'tls-plain-port': 'value',
} as const satisfies FlagKinds;

/** Beside the flags above; it is no argument. */
export const tlsVariables: readonly string[] = ['TLS_KEY_PASSPHRASE'];

export interface TlsSettings extends TlsFiles {
  /** Where http is answered with the address of https. 0: any free one. */
  plainPort: number | undefined;
}

/** Undefined: http. @throws UsageError */
export function tlsSettings(flags: ReadonlyMap<string, string>, env: Environment): TlsSettings | undefined {
  const text = (flag: keyof typeof tlsFlags): string | undefined => flags.get(flag) ?? (env[variableOf(flag)] || undefined);
  const certFile = text('tls-cert');
  const keyFile = text('tls-key');
  const passphrase = secretSetting('TLS_KEY_PASSPHRASE', env, flags.get('tls-key-passphrase-file'));
  const port = text('tls-plain-port');
  if ((certFile === undefined) !== (keyFile === undefined)) {
    throw new UsageError('--tls-cert and --tls-key (TLS_CERT, TLS_KEY) belong together: give both');
  }
  if (port !== undefined && (!/^\d{1,5}$/.test(port) || Number(port) > 65535)) {
    throw new UsageError(`TLS_PLAIN_PORT must be a port number from 0 to 65535, not "${port}"`);
  }
  if (certFile === undefined || keyFile === undefined) {
    if (passphrase !== undefined || port !== undefined) {
      throw new UsageError(`${port === undefined ? 'TLS_KEY_PASSPHRASE' : 'TLS_PLAIN_PORT'} is set, but TLS_CERT and TLS_KEY are not`);
    }
    return undefined;
  }
  return { certFile: resolve(certFile), keyFile: resolve(keyFile), passphrase, plainPort: port === undefined ? undefined : Number(port) };
}

function variableOf(flag: string): string {
  return flag.replaceAll('-', '_').toUpperCase();
}

/** The flags of `serve`. Each is also a variable and a key of the configuration file, by `settings-table.ts`. */
import { accountFlags } from './account-settings.ts';
import type { FlagKinds } from './flags.ts';
import { ldapFlags } from './ldap-settings.ts';
import { loginLimitFlags } from './login-limit-settings.ts';
import { observationFlags } from './observation-settings.ts';
import { tlsFlags } from './tls-settings.ts';
import { upstreamFlags } from './upstream-settings.ts';

/** Of every command that works on a data folder. */
export const baseFlag = { base: 'value', config: 'value' } as const satisfies FlagKinds;

export const serveFlags = {
  ...baseFlag,
  'ankisyncd-conf': 'value',
  host: 'value',
  port: 'value',
  ...tlsFlags,
  'first-user': 'value',
  'trusted-proxies': 'value',
  'public-url': 'value',
  ...observationFlags,
  ...accountFlags,
  ...loginLimitFlags,
  ...ldapFlags,
  ...upstreamFlags,
} as const satisfies FlagKinds;

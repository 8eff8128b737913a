/**
 * Every setting of the standalone server, by its variable: what the configuration file, `anki-sync config`, the search for misspelled
 * variables and the tests of the documentation go by. A flag of `serve` is in it by itself; what has no flag stands in `WITHOUT_FLAG`.
 */
import { coreVariables } from './core-settings.ts';
import { observationVariables } from './observation-settings.ts';
import { oidcVariables } from './oidc-settings.ts';
import { serveFlags } from './serve-flags.ts';
import { tlsVariables } from './tls-settings.ts';

export interface Setting {
  /** `SYNC_PORT`, `LDAP_URL`. */
  variable: string;
  /** `port`. */
  flag?: string;
  isSwitch: boolean;
  /** Table of the configuration file, empty for the top of it, and key in it: `ldap` and `url`. */
  table: string;
  key: string;
  /** Never shown. Each has a sister with `_FILE` behind its name. */
  isSecret: boolean;
  /** Names a file or folder: relative to the configuration file where it stands in one. */
  isPath: boolean;
}

/** Flags whose variable is not the flag in capitals: those of the official server. */
const VARIABLE_OF_FLAG: Readonly<Record<string, string>> = { base: 'SYNC_BASE', host: 'SYNC_HOST', port: 'SYNC_PORT', config: 'ANKI_SYNC_CONFIG', upstream: 'UPSTREAM_URL' };

/** Settings of other programs, or of the command line alone. */
const NO_SETTING: ReadonlySet<string> = new Set(['ankisyncd-conf']);

const WITHOUT_FLAG: readonly string[] = [
  'SYNC_IP_HEADER',
  'MAX_SYNC_PAYLOAD_MEGS',
  'LDAP_BIND_PASSWORD',
  'UPSTREAM_SHARED_PASSWORD',
  ...observationVariables,
  ...tlsVariables,
  ...coreVariables,
  ...oidcVariables.map((name) => `OIDC_${name}`),
];

const SECRETS: ReadonlySet<string> = new Set(['LDAP_BIND_PASSWORD', 'UPSTREAM_SHARED_PASSWORD', 'OIDC_CLIENT_SECRET', 'TLS_KEY_PASSPHRASE', 'METRICS_TOKEN']);

const PATHS: ReadonlySet<string> = new Set(['SYNC_BASE', 'TLS_CERT', 'TLS_KEY']);

/** Beginnings of variables that are tables of the file. The longer of two comes first. */
const TABLES = ['LOGIN_LIMIT', 'LDAP', 'OIDC', 'UPSTREAM', 'TLS', 'LOG', 'SNAPSHOTS', 'ACCOUNT', 'QUOTA'] as const;

/** Of the environment alone: where the file is, and users, who are data. */
const NOT_IN_FILE = /^(ANKI_SYNC_CONFIG|PASSWORDS_HASHED|SYNC_USER[1-9]\d*(_FILE)?)$/;

export const settings: readonly Setting[] = [
  ...Object.entries(serveFlags)
    .filter(([flag]) => !NO_SETTING.has(flag))
    .map(([flag, kind]) => setting(VARIABLE_OF_FLAG[flag] ?? flag.replaceAll('-', '_').toUpperCase(), kind === 'switch', flag)),
  ...WITHOUT_FLAG.map((variable) => setting(variable, false)),
];

const byVariable: ReadonlyMap<string, Setting> = new Map(settings.map((each) => [each.variable, each]));

function setting(variable: string, isSwitch: boolean, flag?: string): Setting {
  const { table, key } = placeInFile(variable);
  const isPath = PATHS.has(variable) || variable.endsWith('_FILE');
  return { variable, ...(flag === undefined ? {} : { flag }), isSwitch, table, key, isSecret: SECRETS.has(variable), isPath };
}

/** `LDAP_URL` → `url` in `[ldap]`; `SYNC_PORT` → `port`. */
function placeInFile(variable: string): { table: string; key: string } {
  const table = TABLES.find((name) => variable.startsWith(`${name}_`));
  if (table !== undefined) return { table: table.toLowerCase(), key: variable.slice(table.length + 1).toLowerCase() };
  return { table: '', key: variable.replace(/^SYNC_(?=BASE|HOST|PORT|IP_HEADER)/, '').toLowerCase() };
}

/** Also of one of several providers: `OIDC_2_ISSUER`. */
export function settingOf(variable: string): Setting | undefined {
  return byVariable.get(variable.replace(/^OIDC_\d+_/, 'OIDC_'));
}

/** Keys of the file that may stand in a table; with '' those at the top. */
export function keysOf(table: string): string[] {
  return settings.filter((each) => each.table === table && !NOT_IN_FILE.test(each.variable)).map(({ key }) => key);
}

export function tablesOfFile(): string[] {
  return [...new Set(settings.map(({ table }) => table))].filter((table) => table !== '');
}

/** Undefined where there is no such key. `number`: of one of several providers, from 1. */
export function variableOfKey(table: string, key: string, number?: number): string | undefined {
  const found = settings.find((each) => each.table === table && each.key === key && !NOT_IN_FILE.test(each.variable));
  return found === undefined || number === undefined ? found?.variable : found.variable.replace(/^OIDC_/, `OIDC_${number}_`);
}

/** Whether a variable means something to this server, apart from those of old community servers. */
export function isKnownVariable(name: string): boolean {
  return settingOf(name) !== undefined || NOT_IN_FILE.test(name);
}

/** What a misspelled variable may have meant. */
export function knownVariables(): string[] {
  return [...byVariable.keys(), 'PASSWORDS_HASHED', 'SYNC_USER1', 'SYNC_USER1_FILE'];
}

/** Whether whoever set it can only have meant this server. */
export function isOurs(name: string): boolean {
  return /^(LOGIN_LIMITS?|LDAP|SYNC|MAX_SYNC|ANKI_SYNC|TLS|METRICS|SNAPSHOTS?|QUOTAS?|UPSTREAM|TRUSTED)_/.test(name);
}

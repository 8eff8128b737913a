/** `LDAP_*` and `--ldap-…` → options of `ldapAuthenticator`. Each variable has a flag of its name, but for the password, which is no argument. */
import { readFileSync } from 'node:fs';
import type { LdapOptions } from '../auth/ldap/settings.ts';
import type { FlagKinds } from './flags.ts';
import type { Environment } from './settings.ts';
import { nearestWord } from '../spelling.ts';
import { UsageError } from './usage-error.ts';

export const ldapFlags = {
  'ldap-url': 'value',
  'ldap-start-tls': 'switch',
  'ldap-ca-file': 'value',
  'ldap-bind-dn': 'value',
  'ldap-bind-password-file': 'value',
  'ldap-search-base': 'value',
  'ldap-user-filter': 'value',
  'ldap-bind-template': 'value',
  'ldap-name-attribute': 'value',
  'ldap-group-filter': 'value',
  'ldap-group-base': 'value',
  'ldap-timeout-secs': 'value',
  'ldap-recheck-minutes': 'value',
  'ldap-dangerously-allow-plaintext': 'switch',
  'ldap-dangerously-skip-certificate-check': 'switch',
} as const satisfies FlagKinds;

/** More would take LDAP_PORT, which Kubernetes sets for a service of the name ldap, for LDAP_URL. */
const MOST_EDITS = 2;

type LdapFlag = keyof typeof ldapFlags;

/** Undefined where nothing speaks of LDAP. @throws UsageError */
export function ldapSettings(flags: ReadonlyMap<string, string>, env: Environment): LdapOptions | undefined {
  const names = Object.keys(ldapFlags) as LdapFlag[];
  const given = new Map<LdapFlag, string>();
  for (const name of names) {
    const value = flags.has(name) && ldapFlags[name] === 'switch' ? 'true' : (flags.get(name) ?? env[variableOf(name)]);
    if (value !== undefined && value !== '') given.set(name, value);
  }
  const password = env.LDAP_BIND_PASSWORD === '' ? undefined : env.LDAP_BIND_PASSWORD;
  const url = given.get('ldap-url');
  if (url === undefined) {
    const [first] = given.keys();
    const alone = first === undefined ? (password === undefined ? undefined : 'LDAP_BIND_PASSWORD') : variableOf(first);
    if (alone !== undefined) throw new UsageError(`${alone} is set, but LDAP_URL is not`);
    return undefined;
  }
  refuseMisspelled(env);
  const passwordFile = given.get('ldap-bind-password-file');
  if (password !== undefined && passwordFile !== undefined) {
    throw new UsageError('LDAP_BIND_PASSWORD and LDAP_BIND_PASSWORD_FILE are both set: give one');
  }
  const caFile = given.get('ldap-ca-file');
  const options = {
    url: url.split(/[\s,]+/).filter((each) => each !== ''),
    startTls: yesOrNo(given, 'ldap-start-tls'),
    ca: caFile === undefined ? undefined : fileOf('ldap-ca-file', caFile),
    bindDn: given.get('ldap-bind-dn'),
    bindPassword: passwordFile === undefined ? password : fileOf('ldap-bind-password-file', passwordFile).replace(/\r?\n$/, ''),
    searchBase: given.get('ldap-search-base'),
    userFilter: given.get('ldap-user-filter'),
    bindTemplate: given.get('ldap-bind-template'),
    nameAttribute: given.get('ldap-name-attribute'),
    groupFilter: given.get('ldap-group-filter'),
    groupBase: given.get('ldap-group-base'),
    timeoutMillis: number(given, 'ldap-timeout-secs', 1000),
    recheckMinutes: number(given, 'ldap-recheck-minutes', 1),
    dangerouslyAllowPlaintext: yesOrNo(given, 'ldap-dangerously-allow-plaintext'),
    dangerouslySkipCertificateCheck: yesOrNo(given, 'ldap-dangerously-skip-certificate-check'),
  };
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)) as unknown as LdapOptions;
}

/** One that was overlooked might have been the one that keeps people out. Others than these belong to other programs. @throws UsageError */
function refuseMisspelled(env: Environment): void {
  const known = [...(Object.keys(ldapFlags) as LdapFlag[]).map(variableOf), 'LDAP_BIND_PASSWORD'];
  for (const [name, value] of Object.entries(env)) {
    if (!name.startsWith('LDAP_') || value === undefined || value === '' || known.includes(name)) continue;
    const meant = nearestWord(name, known, MOST_EDITS);
    if (meant !== undefined && (env[meant] ?? '') === '') throw new UsageError(`unknown variable ${name}. Did you mean ${meant}?`);
  }
}

/** A message of `ldapAuthenticator` names options; whoever set variables knows only those. */
export function inVariables(message: string): string {
  const special: Record<string, string> = { ca: 'LDAP_CA_FILE', url: 'LDAP_URL', timeoutMillis: 'LDAP_TIMEOUT_SECS' };
  const names = 'url|startTls|ca|bindDn|bindPassword|searchBase|userFilter|bindTemplate|nameAttribute|groupFilter|groupBase|timeoutMillis'
    + '|recheckMinutes|dangerouslyAllowPlaintext|dangerouslySkipCertificateCheck';
  return message.replaceAll(new RegExp(`\\b(${names})\\b`, 'g'), (name) => special[name] ?? `LDAP_${name.replaceAll(/[A-Z]/g, '_$&').toUpperCase()}`);
}

function variableOf(flag: LdapFlag): string {
  return flag.replaceAll('-', '_').toUpperCase();
}

function yesOrNo(given: ReadonlyMap<LdapFlag, string>, name: LdapFlag): boolean | undefined {
  const value = given.get(name);
  if (value === undefined) return undefined;
  if (/^(1|true|yes|on)$/i.test(value)) return true;
  if (/^(0|false|no|off)$/i.test(value)) return false;
  throw new UsageError(`${variableOf(name)} must be true or false, not "${value}"`);
}

function number(given: ReadonlyMap<LdapFlag, string>, name: LdapFlag, times: number): number | undefined {
  const value = given.get(name);
  if (value === undefined) return undefined;
  if (!/^\d+(\.\d+)?$/.test(value)) throw new UsageError(`${variableOf(name)} must be a number, not "${value}"`);
  return Number(value) * times;
}

function fileOf(name: LdapFlag, path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    throw new UsageError(`${variableOf(name)} names a file that cannot be read (${(error as NodeJS.ErrnoException).code}): ${path}`);
  }
}

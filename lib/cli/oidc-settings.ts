/** `OIDC_*` → the option `oidc`. One provider, or several: `OIDC_1_ISSUER`, `OIDC_2_ISSUER`, … There are no flags: some of it is secret. */
import { readFileSync } from 'node:fs';
import type { OidcOptions } from '../auth/oidc/settings.ts';
import { hint } from '../spelling.ts';
import type { Environment } from './settings.ts';
import { UsageError } from './usage-error.ts';

/** Without `OIDC_` or `OIDC_1_`; each with the option that it sets. */
const VARIABLES = {
  ID: 'id',
  NAME: 'name',
  ISSUER: 'issuer',
  CLIENT_ID: 'clientId',
  CLIENT_SECRET: 'clientSecret',
  CLIENT_SECRET_FILE: 'clientSecret',
  CLIENT_AUTHENTICATION: 'clientAuthentication',
  SCOPES: 'scopes',
  CLAIM: 'claim',
  ALLOWED_GROUPS: 'allowedGroups',
  GROUPS_CLAIM: 'groupsClaim',
  ALLOWED_DOMAINS: 'allowedDomains',
  REQUIRED_CLAIMS: 'requiredClaims',
  DANGEROUSLY_TRUST_EMAIL: 'dangerouslyTrustEmail',
  LINK_EXISTING_USERS: 'linkExistingUsers',
  RELOGIN_DAYS: 'reloginDays',
  PROMPT: 'prompt',
  MAX_AGE_SECS: 'maxAgeSecs',
  ACR_VALUES: 'acrValues',
  EXTRA_PARAMETERS: 'extraParameters',
  TIMEOUT_SECS: 'timeoutMillis',
  CLOCK_TOLERANCE_SECS: 'clockToleranceSecs',
} as const satisfies Record<string, keyof OidcOptions>;

type Variable = keyof typeof VARIABLES;
const NAMES = Object.keys(VARIABLES) as Variable[];

/** Without `OIDC_`. */
export const oidcVariables: readonly string[] = NAMES;

/** Empty where nothing speaks of OpenID Connect. @throws UsageError */
export function oidcSettings(env: Environment): OidcOptions[] {
  const set = Object.keys(env).filter((name) => name.startsWith('OIDC_') && env[name] !== '' && env[name] !== undefined);
  const prefixes = new Set(set.map((name) => /^OIDC_\d+_/.exec(name)?.[0] ?? 'OIDC_'));
  if (prefixes.has('OIDC_') && prefixes.size > 1) {
    throw new UsageError('OIDC_… and OIDC_1_… are both set: with several providers, each variable has a number');
  }
  for (const name of set) {
    const [prefix = ''] = /^OIDC_(\d+_)?/.exec(name) ?? [];
    const word = name.slice(prefix.length);
    // one that was overlooked might have been the one that keeps people out
    if (!Object.hasOwn(VARIABLES, word)) throw new UsageError(`unknown variable ${name}.${hint(name, NAMES.map((each) => prefix + each))}`);
  }
  return [...prefixes].sort((a, b) => numberIn(a) - numberIn(b)).map((prefix) => provider(prefix, env));
}

/** A message of the option `oidc` names options; whoever set variables knows only those. */
export function inOidcVariables(message: string): string {
  const words = new Map<string, string>(Object.entries(VARIABLES).reverse().map(([variable, option]) => [option, `OIDC_${variable}`]));
  return message.replace(/^OIDC: /, '').replaceAll(/\b[a-z]+[A-Z]\w*\b|\bissuer\b|^id\b|^scopes\b/g, (word) => words.get(word) ?? word);
}

function provider(prefix: string, env: Environment): OidcOptions {
  const name = (variable: Variable): string => `${prefix}${variable}`;
  const value = (variable: Variable): string | undefined => (env[name(variable)] === '' ? undefined : env[name(variable)]);
  const list = (variable: Variable): string[] | undefined => parts(value(variable));
  const yesOrNo = (variable: Variable): boolean | undefined => {
    const text = value(variable);
    if (text === undefined || /^(1|true|yes|on)$/i.test(text)) return text === undefined ? undefined : true;
    if (/^(0|false|no|off)$/i.test(text)) return false;
    throw new UsageError(`${name(variable)} must be true or false, not "${text}"`);
  };
  const number = (variable: Variable, times = 1): number | undefined => {
    const text = value(variable);
    if (text === undefined) return undefined;
    if (!/^\d+(\.\d+)?$/.test(text)) throw new UsageError(`${name(variable)} must be a number, not "${text}"`);
    return Number(text) * times;
  };
  const pairs = (variable: Variable): Map<string, string[]> | undefined => {
    const given = list(variable);
    if (given === undefined) return undefined;
    const all = new Map<string, string[]>();
    for (const pair of given) {
      const at = pair.indexOf('=');
      if (at < 1) throw new UsageError(`${name(variable)} must be like name=value, other=value, not "${pair}"`);
      const key = pair.slice(0, at).trim();
      all.set(key, [...(all.get(key) ?? []), pair.slice(at + 1).trim()]);
    }
    return all;
  };

  for (const needed of ['ISSUER', 'CLIENT_ID'] as const) {
    if (value(needed) === undefined) {
      const other = NAMES.find((variable) => value(variable) !== undefined)!;
      throw new UsageError(`${name(other)} is set, but ${name(needed)} is not`);
    }
  }
  const secretFile = value('CLIENT_SECRET_FILE');
  if (secretFile !== undefined && value('CLIENT_SECRET') !== undefined) {
    throw new UsageError(`${name('CLIENT_SECRET')} and ${name('CLIENT_SECRET_FILE')} are both set: give one`);
  }
  const required = pairs('REQUIRED_CLAIMS');
  const extra = pairs('EXTRA_PARAMETERS');
  const options = {
    id: value('ID') ?? (prefix === 'OIDC_' ? undefined : `oidc-${numberIn(prefix)}`),
    name: value('NAME'),
    issuer: value('ISSUER'),
    clientId: value('CLIENT_ID'),
    clientSecret: secretFile === undefined ? value('CLIENT_SECRET') : fileOf(name('CLIENT_SECRET_FILE'), secretFile).replace(/\r?\n$/, ''),
    clientAuthentication: value('CLIENT_AUTHENTICATION'),
    scopes: value('SCOPES')?.split(/[\s,]+/).filter((each) => each !== ''),
    claim: value('CLAIM'),
    allowedGroups: list('ALLOWED_GROUPS'),
    groupsClaim: value('GROUPS_CLAIM'),
    allowedDomains: list('ALLOWED_DOMAINS'),
    requiredClaims: required && Object.fromEntries([...required].map(([claim, values]) => [claim, values.flatMap(meanings)])),
    dangerouslyTrustEmail: yesOrNo('DANGEROUSLY_TRUST_EMAIL'),
    linkExistingUsers: yesOrNo('LINK_EXISTING_USERS'),
    reloginDays: number('RELOGIN_DAYS'),
    prompt: value('PROMPT'),
    maxAgeSecs: number('MAX_AGE_SECS'),
    acrValues: value('ACR_VALUES')?.split(/[\s,]+/).filter((each) => each !== ''),
    extraParameters: extra && Object.fromEntries([...extra].map(([key, [first = '']]) => [key, first])),
    timeoutMillis: number('TIMEOUT_SECS', 1000),
    clockToleranceSecs: number('CLOCK_TOLERANCE_SECS'),
  };
  return Object.fromEntries(Object.entries(options).filter(([, each]) => each !== undefined)) as unknown as OidcOptions;
}

/** In a variable, `true` and `5` are texts; in a claim they may be more. */
function meanings(text: string): (string | number | boolean)[] {
  if (text === 'true' || text === 'false') return [text, text === 'true'];
  return /^-?\d{1,15}$/.test(text) ? [text, Number(text)] : [text];
}

/** With commas; with semicolons where names have commas themselves. */
function parts(text: string | undefined): string[] | undefined {
  return text?.split(text.includes(';') ? ';' : ',').map((each) => each.trim()).filter((each) => each !== '');
}

function numberIn(prefix: string): number {
  return Number(/\d+/.exec(prefix)?.[0] ?? 0);
}

function fileOf(name: string, path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    throw new UsageError(`${name} names a file that cannot be read (${(error as NodeJS.ErrnoException).code}): ${path}`);
  }
}

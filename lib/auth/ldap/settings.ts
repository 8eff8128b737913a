import { X509Certificate } from 'node:crypto';
import { isIP } from 'node:net';
import { hint } from '../../spelling.ts';
import { attributeInDn, attributesInFilter } from './escaping.ts';
import type { LdapLog } from './log.ts';

export interface LdapOptions {
  /** `ldaps://ldap.example.org`, `ldap://…:3890` with `startTls`, or several, tried in order. */
  url: string | readonly string[];
  /** Encrypts an `ldap://` connection before anything is said on it. A server that refuses is not used. */
  startTls?: boolean;
  /** Certification authorities in PEM. These alone are trusted then; default: those of Node.js and of the system. */
  ca?: string | Buffer | readonly (string | Buffer)[];
  /** The account that looks people up. Its password must not be empty. */
  bindDn?: string;
  bindPassword?: string;
  /** Where people are: `ou=people,dc=example,dc=org`, and everything below. */
  searchBase?: string;
  /**
   * Whom a typed name means: `{name}` stands for it, escaped. Default `(uid={name})`. Conditions belong here too: a group
   * (`memberOf`), accounts that are not disabled.
   */
  userFilter?: string;
  /** Bind as this at once, in place of looking the person up: `uid={name},ou=people,dc=example,dc=org`, `{name}@example.org`, `EXAMPLE\{name}`. */
  bindTemplate?: string;
  /** The attribute that becomes the user's name. Default: the one that the filter, or the template, compares with `{name}` first. */
  nameAttribute?: string;
  /** Only whoever one of these groups names may sign in: `{dn}` stands for the person's entry, `{name}` for the name. */
  groupFilter?: string;
  /** Where groups are. Default `searchBase`. */
  groupBase?: string;
  /** For a connection with its encryption, and for each question, milliseconds. Default 5000. */
  timeoutMillis?: number;
  /** How often users who sync are looked up again; who may not sign in any more loses the keys. 0: never. Default 60, where there is a `bindDn`. */
  recheckMinutes?: number;
  /** Sends passwords unencrypted through the network. Between a server and itself (`localhost`) this is allowed without it. */
  dangerouslyAllowPlaintext?: boolean;
  /** Takes anybody who answers for the directory, and tells them the passwords. */
  dangerouslySkipCertificateCheck?: boolean;
  /** Default: nothing is logged. */
  log?: LdapLog;
}

/** One server of the directory. */
export interface DirectoryServer {
  /** As configured. */
  url: string;
  encryption: 'tls' | 'startTls' | 'none';
  host: string;
  port: number;
}

export interface LdapSettings {
  servers: readonly DirectoryServer[];
  ca: readonly string[] | undefined;
  checkCertificates: boolean;
  service: { dn: string; password: string } | undefined;
  searchBase: string | undefined;
  userFilter: string | undefined;
  bindTemplate: string | undefined;
  nameAttribute: string;
  groups: { base: string; filter: string } | undefined;
  timeoutMillis: number;
  recheckMinutes: number;
}

const KNOWN: Record<keyof LdapOptions, true> = {
  url: true,
  startTls: true,
  ca: true,
  bindDn: true,
  bindPassword: true,
  searchBase: true,
  userFilter: true,
  bindTemplate: true,
  nameAttribute: true,
  groupFilter: true,
  groupBase: true,
  timeoutMillis: true,
  recheckMinutes: true,
  dangerouslyAllowPlaintext: true,
  dangerouslySkipCertificateCheck: true,
  log: true,
};

export const ldapOptionNames: readonly string[] = Object.keys(KNOWN);

/** @throws TypeError that names the option, and never repeats a password */
export function checkLdapOptions(options: LdapOptions): LdapSettings {
  for (const name of Object.keys(options)) {
    if (!Object.hasOwn(KNOWN, name)) throw new TypeError(`unknown LDAP option "${name}".${hint(name, Object.keys(KNOWN))}`);
  }
  const { searchBase, bindTemplate } = options;
  const service = serviceAccount(options);
  if (service === undefined && bindTemplate === undefined) {
    throw new TypeError('LDAP: give bindDn and bindPassword of an account that looks people up, or a bindTemplate');
  }
  if (bindTemplate !== undefined && !bindTemplate.includes('{name}')) throw new TypeError('LDAP: bindTemplate must hold {name}');
  const dnAttribute = bindTemplate === undefined ? undefined : attributeInDn(bindTemplate);
  // neither the one form nor the other: the name would not be escaped in it
  if (bindTemplate !== undefined && dnAttribute === undefined && /=[^,]*\{name\}/.test(bindTemplate)) {
    throw new TypeError('LDAP: in a bindTemplate that is a distinguished name, {name} must be a whole value: uid={name},ou=people,…');
  }
  if (searchBase === undefined && dnAttribute === undefined) {
    throw new TypeError('LDAP: searchBase is missing: where people are, like ou=people,dc=example,dc=org');
  }
  const userFilter = options.userFilter ?? (dnAttribute === undefined ? '(uid={name})' : undefined);
  if (userFilter !== undefined) {
    checkFilter('userFilter', userFilter);
    if (dnAttribute === undefined && attributesInFilter(userFilter).length === 0) {
      throw new TypeError('LDAP: userFilter must compare an attribute with {name}: (uid={name})');
    }
    if (/:=[^)]*\{name\}/.test(userFilter)) throw new TypeError('LDAP: userFilter may compare {name} by = alone, not by :=');
  }
  const nameAttribute = options.nameAttribute ?? dnAttribute ?? attributesInFilter(userFilter ?? '')[0]!;
  if (!/^[a-z][a-z0-9-]*$/i.test(nameAttribute) || nameAttribute.toLowerCase() === 'dn') {
    throw new TypeError('LDAP: nameAttribute must be the name of an attribute, like uid');
  }
  return {
    servers: servers(options),
    ca: certificates(options.ca),
    checkCertificates: options.dangerouslySkipCertificateCheck !== true,
    service,
    searchBase,
    userFilter,
    bindTemplate,
    nameAttribute,
    groups: groups(options),
    timeoutMillis: number(options.timeoutMillis, 'timeoutMillis', 1) ?? 5000,
    recheckMinutes: recheckMinutes(options, service !== undefined),
  };
}

function servers(options: LdapOptions): DirectoryServer[] {
  const urls = typeof options.url === 'string' ? [options.url] : [...(options.url ?? [])];
  if (urls.length === 0) throw new TypeError('LDAP: url is missing: ldaps://ldap.example.org');
  return urls.map((text) => {
    const url = URL.canParse(text) ? new URL(text) : undefined;
    if (url === undefined || !/^ldaps?:$/.test(url.protocol) || url.hostname === '') {
      throw new TypeError('LDAP: url must be like ldaps://ldap.example.org or ldap://ldap.example.org:389');
    }
    if (url.username !== '' || url.password !== '' || !/^\/?$/.test(url.pathname) || url.search !== '') {
      throw new TypeError('LDAP: url may hold scheme, host and port alone; the account goes into bindDn and bindPassword, the base into searchBase');
    }
    const secure = url.protocol === 'ldaps:';
    const host = decodeURIComponent(url.hostname).replace(/^\[(.*)\]$/, '$1');
    const encryption = secure ? 'tls' : options.startTls === true ? 'startTls' : 'none';
    if (encryption === 'none' && options.dangerouslyAllowPlaintext !== true && !isThisMachine(host)) {
      throw new TypeError(`LDAP: ${text} would send passwords unencrypted: use ldaps://, or startTls (or dangerouslyAllowPlaintext, if you must)`);
    }
    return { url: text, encryption, host, port: url.port === '' ? (secure ? 636 : 389) : Number(url.port) };
  });
}

function isThisMachine(host: string): boolean {
  return host === 'localhost' || host === '::1' || (isIP(host) === 4 && host.startsWith('127.'));
}

function certificates(ca: LdapOptions['ca']): string[] | undefined {
  if (ca === undefined) return undefined;
  const texts = (Array.isArray(ca) ? ca : [ca]).map(String);
  for (const text of texts) {
    const found = text.match(/-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----/gs) ?? [];
    if (found.length === 0) throw new TypeError('LDAP: ca holds no certificate in PEM');
    for (const pem of found) {
      try {
        new X509Certificate(pem);
      } catch {
        throw new TypeError('LDAP: ca holds a certificate that cannot be read');
      }
    }
  }
  return texts;
}

function serviceAccount({ bindDn, bindPassword }: LdapOptions): LdapSettings['service'] {
  if (bindDn === undefined && bindPassword === undefined) return undefined;
  if (bindDn === undefined || bindDn === '') throw new TypeError('LDAP: bindPassword without bindDn');
  // with an empty one, directories answer success, and mean an anonymous visitor
  if (bindPassword === undefined || bindPassword === '') throw new TypeError('LDAP: bindDn needs a bindPassword');
  return { dn: bindDn, password: bindPassword };
}

function groups({ groupFilter, groupBase, searchBase }: LdapOptions): LdapSettings['groups'] {
  if (groupFilter === undefined) {
    if (groupBase !== undefined) throw new TypeError('LDAP: groupBase without groupFilter');
    return undefined;
  }
  checkFilter('groupFilter', groupFilter);
  if (!/\{(dn|name)\}/.test(groupFilter)) {
    throw new TypeError('LDAP: groupFilter must hold {dn} or {name}: (&(cn=anki)(member={dn})); a condition on the person belongs into userFilter');
  }
  const base = groupBase ?? searchBase;
  if (base === undefined) throw new TypeError('LDAP: groupFilter needs a groupBase');
  return { base, filter: groupFilter };
}

/** The rest is told by the directory; what is caught here are lost brackets, of which it would say nothing useful. */
function checkFilter(name: string, filter: string): void {
  let depth = 0;
  let at = 0;
  do {
    if (filter[at] === '(') depth++;
    if (filter[at] === ')') depth--;
    at++;
  } while (depth > 0 && at < filter.length);
  if (!filter.startsWith('(') || depth !== 0 || at !== filter.length) {
    throw new TypeError(`LDAP: ${name} must be one filter in brackets, like (uid={name})`);
  }
  for (const [placeholder] of filter.matchAll(/\{[^}]*\}/g)) {
    const allowed = name === 'userFilter' ? ['{name}'] : ['{dn}', '{name}'];
    if (!allowed.includes(placeholder)) throw new TypeError(`LDAP: ${name} knows no ${placeholder}, only ${allowed.join(' and ')}`);
  }
}

function recheckMinutes(options: LdapOptions, hasService: boolean): number {
  const possible = hasService && options.searchBase !== undefined;
  const minutes = number(options.recheckMinutes, 'recheckMinutes', 0) ?? (possible ? 60 : 0);
  if (minutes > 0 && !possible) {
    throw new TypeError('LDAP: recheckMinutes needs bindDn, bindPassword and searchBase: nobody else can look users up again');
  }
  return minutes;
}

function number(value: number | undefined, name: string, least: number): number | undefined {
  if (value !== undefined && (!Number.isFinite(value) || value < least)) throw new TypeError(`LDAP: ${name} must be a number from ${least}`);
  return value;
}

/** What the suites about LDAP share: a directory for a file, authenticators on it that end with their test, and what they log. */
import assert from 'node:assert/strict';
import { after, type TestContext } from 'node:test';
import { inspect } from 'node:util';
import { ldapAuthenticator, type LdapAuthenticator } from '../../../lib/auth/ldap/ldap-authenticator.ts';
import type { LdapLogEntry } from '../../../lib/auth/ldap/log.ts';
import type { LdapOptions } from '../../../lib/auth/ldap/settings.ts';
import { PEOPLE, SERVICE, Slapd, slapdMissing, type SlapdOptions } from './slapd.ts';

export interface Directory {
  slapd: Slapd;
  /** Why all tests of the file are skipped. */
  skip: string | false;
  /** By the service account, on the unencrypted port. Undefined takes an option away. */
  authenticator(t: TestContext, options?: { [K in keyof LdapOptions]?: LdapOptions[K] | undefined }): LdapAuthenticator & { lines: LdapLogEntry[] };
}

export async function directory(options?: SlapdOptions): Promise<Directory> {
  const skip = await slapdMissing();
  if (skip !== false) return { skip } as Directory;
  const slapd = await Slapd.start(options);
  after(() => slapd.close());
  return {
    slapd,
    skip,
    authenticator(t, changes = {}) {
      const lines: LdapLogEntry[] = [];
      const all = { url: slapd.ldap, bindDn: SERVICE.dn, bindPassword: SERVICE.password, searchBase: PEOPLE, log: (entry: LdapLogEntry) => void lines.push(entry), ...changes };
      const given = Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined)) as unknown as LdapOptions;
      const authenticator = ldapAuthenticator(given);
      t.after(() => authenticator.close());
      t.after(() => assert.doesNotMatch(JSON.stringify(lines), /canary/, 'no password in the log'));
      return Object.assign(authenticator, { lines });
    },
  };
}

/** A name and a password as one word, for short tables. */
export const credentials = (username: string, password: string): { username: string; password: string } => ({ username, password });

/** Checks, for `assert.rejects`, that nobody knows, that the detail says these words, and that no password is anywhere in the error. */
export const isUnavailable = (words: RegExp = /./) => (error: unknown): boolean => {
  const { code, detail } = error as { code?: string; detail?: string };
  assert.doesNotMatch(inspect(error, { depth: 9, showHidden: true }), /canary/);
  return code === 'AUTH_UNAVAILABLE' && words.test(detail ?? '');
};

import type { Client, ClientOptions } from 'ldapts';

/** An optional peer: loaded at the first use, so that nobody else has to have it. */
let loading: Promise<{ Client: new (options: ClientOptions) => Client }> | undefined;

export function loadLdapLibrary(): Promise<{ Client: new (options: ClientOptions) => Client }> {
  loading ??= import('ldapts');
  return loading;
}

/** @throws Error that says what to install */
export function requireLdapLibrary(find: (name: string) => unknown = import.meta.resolve): void {
  try {
    find('ldapts');
  } catch (error) {
    throw new Error('signing in by LDAP needs the package ldapts: npm install ldapts@9', { cause: error });
  }
}

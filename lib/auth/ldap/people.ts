import { normaliseLoginName } from '../login-names.ts';
import { UsersError } from '../users-error.ts';
import type { DirectoryEntry, Search } from './connection.ts';
import { DirectoryRefusal, RESULT } from './errors.ts';
import { filterForAnyName, filterWith, escapeFilterValue } from './escaping.ts';
import type { LdapSettings } from './settings.ts';

/** Whoever can search: the service account, or a connection on which a person is signed in. */
export interface Searcher {
  search(search: Search): Promise<DirectoryEntry[]>;
}

export type Found = { count: 'none' } | { count: 'one'; entry: DirectoryEntry } | { count: 'several' };

/** The person of a typed name. */
export function findByTypedName(searcher: Searcher, settings: LdapSettings, base: string, name: string): Promise<Found> {
  return find(searcher, { base, scope: 'sub', filter: filterWith(settings.userFilter!, { name }), attribute: settings.nameAttribute });
}

/** The person of a name that the directory gave earlier, by the same conditions. What was typed then (a mail address, say) is not known any more. */
export function findByGivenName(searcher: Searcher, settings: LdapSettings, base: string, name: string): Promise<Found> {
  const isNamed = `(${settings.nameAttribute}=${escapeFilterValue(name)})`;
  const filter = settings.userFilter === undefined ? isNamed : `(&${isNamed}${filterForAnyName(settings.userFilter)})`;
  return find(searcher, { base, scope: 'sub', filter, attribute: settings.nameAttribute });
}

/** The entry of a person who signed in under this very distinguished name. */
export function findByDn(searcher: Searcher, settings: LdapSettings, dn: string, name: string): Promise<Found> {
  const filter = settings.userFilter === undefined ? '(objectClass=*)' : filterWith(settings.userFilter, { name });
  return find(searcher, { base: dn, scope: 'base', filter, attribute: settings.nameAttribute });
}

/**
 * Whether anybody at all can be seen. To an account that lost its rights, many directories show nobody and call it success; so does one
 * that was just set up anew, and not yet filled.
 */
export async function anybodyIsThere(searcher: Searcher, settings: LdapSettings, base: string): Promise<boolean> {
  const { nameAttribute } = settings;
  return (await searcher.search({ base, scope: 'children', filter: `(${nameAttribute}=*)`, attribute: nameAttribute, enough: 1 })).length > 0;
}

export async function isInGroup(searcher: Searcher, { groups }: LdapSettings, dn: string, name: string): Promise<boolean> {
  if (groups === undefined) return true;
  const filter = filterWith(groups.filter, { dn, name });
  // 1.1: no attributes, by RFC 4511
  return (await searcher.search({ base: groups.base, scope: 'sub', filter, attribute: '1.1', enough: 1 })).length > 0;
}

/** The one name in an entry, as the directory spells it; undefined when there is none, or more than one. */
export function nameIn({ values }: DirectoryEntry): string | undefined {
  if (values.length !== 1) return undefined;
  try {
    return normaliseLoginName(values[0]!);
  } catch (error) {
    if (error instanceof UsersError) return undefined;
    throw error;
  }
}

async function find(searcher: Searcher, search: Search): Promise<Found> {
  let entries: DirectoryEntry[];
  try {
    entries = await searcher.search(search);
  } catch (error) {
    // a server that may not tell all of them still told that there is more than one
    if (error instanceof DirectoryRefusal && error.code === RESULT.sizeLimitExceeded) return { count: 'several' };
    throw error;
  }
  const [entry] = entries;
  if (entry === undefined) return { count: 'none' };
  return entries.length === 1 ? { count: 'one', entry } : { count: 'several' };
}

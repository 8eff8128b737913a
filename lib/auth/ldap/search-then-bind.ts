import { randomBytes } from 'node:crypto';
import type { Credentials } from '../authenticator.ts';
import type { Room } from './room.ts';
import { isAboutThePerson } from './errors.ts';
import { findByTypedName, isInGroup, nameIn } from './people.ts';

/**
 * The service account finds the person's entry, and the password is tried on it: one search and one bind, also for a name that nobody has.
 */
export async function searchThenBind(room: Room, { username, password }: Credentials): Promise<string | null> {
  const { settings, service, tell } = room;
  const base = settings.searchBase!;
  const found = await findByTypedName(service!, settings, base, username);
  const name = found.count === 'one' ? nameIn(found.entry) : undefined;
  if (found.count === 'several') tell('warn', 'refused: more than one entry matches this name', username);
  if (found.count === 'one' && name === undefined) {
    tell('warn', `refused: ${found.entry.dn} has not exactly one usable ${settings.nameAttribute}`, username);
  }
  const dn = name !== undefined && found.count === 'one' ? found.entry.dn : nobodyBelow(base);
  try {
    await room.bindAlone(dn, password);
  } catch (error) {
    if (!isAboutThePerson(error)) throw error;
    if (name !== undefined) room.tellRefusal(error, name);
    return null;
  }
  // a directory that lets nobody in by a name that does not exist would let in anybody
  if (name === undefined || found.count !== 'one') return null;
  if (!(await isInGroup(service!, settings, found.entry.dn, name))) {
    tell('info', 'refused: in no group that may sign in', name);
    return null;
  }
  return name;
}

function nobodyBelow(base: string): string {
  return [`cn=nobody-${randomBytes(8).toString('hex')}`, base].filter((part) => part !== '').join(',');
}

import type { Credentials } from '../authenticator.ts';
import type { DirectoryConnection } from './connection.ts';
import { isAboutThePerson } from './errors.ts';
import { attributeInDn, bindNameWith } from './escaping.ts';
import { findByDn, findByTypedName, isInGroup, nameIn } from './people.ts';
import type { Room } from './room.ts';

/** The name is put into a template and the password tried on that: one bind. Then the person reads the own entry, for the name. */
export async function directBind(room: Room, { username, password }: Credentials): Promise<string | null> {
  const { settings } = room;
  const bindName = bindNameWith(settings.bindTemplate!, username);
  return room.withConnection(async (connection) => {
    try {
      await connection.bind(bindName, password);
    } catch (error) {
      if (!isAboutThePerson(error)) throw error;
      room.tellRefusal(error);
      return null;
    }
    return nameOf(room, connection, bindName, { username, password });
  });
}

async function nameOf(room: Room, connection: DirectoryConnection, bindName: string, { username, password }: Credentials): Promise<string | null> {
  const { settings, tell } = room;
  const isDn = attributeInDn(settings.bindTemplate!) !== undefined;
  const found = isDn
    ? await findByDn(connection, settings, bindName, username)
    : await findByTypedName(connection, settings, settings.searchBase!, username);
  const name = found.count === 'one' ? nameIn(found.entry) : undefined;
  if (found.count !== 'one' || name === undefined) {
    tell('warn', `signed in as ${JSON.stringify(bindName)}, and refused: ${found.count === 'one'
      ? `the entry has not exactly one usable ${settings.nameAttribute}` : `${found.count} of the entries that can be read match`}`, username);
    return null;
  }
  const { dn } = found.entry;
  if (!isDn) {
    // ada@example.org need not be the ada of the filter: the same password must open the entry itself
    try {
      await connection.bind(dn, password);
    } catch (error) {
      if (!isAboutThePerson(error)) throw error;
      tell('warn', `refused: ${JSON.stringify(bindName)} and ${dn} are two people, or the entry itself refuses the password`, username);
      return null;
    }
  }
  if (!(await isInGroup(room.service ?? connection, settings, dn, name))) {
    tell('info', 'refused: in no group that may sign in', name);
    return null;
  }
  return name;
}

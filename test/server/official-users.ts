/** Anki's server with as many users as there are rows in a table, each signed in without a password being hashed. */
import { hash, pbkdf2Sync } from 'node:crypto';
import { RawClient } from '../client/raw.ts';
import { startOfficialServer } from '../oracle/official-server.ts';

export interface OfficialUsers {
  /** A user nobody has seen yet, with a host key and a session key. */
  newUser(): RawClient;
  stop(): Promise<void>;
}

const base64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64').replace(/=+$/, '');

/** Its server hashes the password of every user at start, a tenth of a second each, unless it gets the hashes; of one round here. */
function cheapHash(): string {
  const salt = Buffer.from('a salt of enough bytes');
  return `$pbkdf2-sha256$i=1,l=32$${base64(salt)}$${base64(pbkdf2Sync('password', salt, 1, 32, 'sha256'))}`;
}

export async function officialUsers(count: number): Promise<OfficialUsers> {
  const password = cheapHash();
  const names = Array.from({ length: count }, (_, index) => `user${index}`);
  const server = await startOfficialServer({
    users: Object.fromEntries(names.map((name) => [name, password])),
    env: { PASSWORDS_HASHED: '1' },
  });
  let used = 0;
  return {
    newUser() {
      // its host keys are this hash of name and password as they are configured
      return new RawClient(server.url, { key: hash('sha1', `${names[used++]}:${password}`), sessionKey: 'session' });
    },
    stop: () => server.stop(),
  };
}

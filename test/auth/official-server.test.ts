import assert from 'node:assert/strict';
import { pbkdf2Sync, randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { openBuiltInAuth } from '../../lib/auth/built-in.ts';
import { readSyncUsers } from '../../lib/auth/env-users.ts';
import { ankiEnvironment, ankiPython, run } from '../oracle/anki-python.ts';
import { startOfficialServer } from '../oracle/official-server.ts';
import { dataFolder } from './folder.ts';

/** Prints the host key that a real client gets for each name and password. */
const LOGIN = `
import json, sys
from anki.collection import Collection
path, endpoint, logins = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
collection = Collection(path)
print(json.dumps([collection.sync_login(name, password, endpoint).hkey for name, password in logins]))
`;

const base64 = (bytes: Buffer): string => bytes.toString('base64').replace(/=+$/, '');

function phcOf(password: string, digest: 'sha256' | 'sha512', bytes: number): string {
  const salt = randomBytes(16);
  return `$pbkdf2-${digest}$i=1000,l=${bytes}$${base64(salt)}$${base64(pbkdf2Sync(password, salt, 1000, bytes, digest))}`;
}

for (const hashed of [false, true]) {
  test(`who signed in to the official server (${hashed ? 'hashed' : 'plain'} passwords) is signed in to ours, on the same folder`, async () => {
    const base = dataFolder();
    const logins = [['Zoe', 'sécret: 1'], ['ann@example.org', 'secret 2']] as const;
    const users = Object.fromEntries(logins.map(([name, password], i) => [
      name, !hashed ? password : i === 0 ? phcOf(password, 'sha256', 32) : phcOf(password, 'sha512', 32),
    ]));
    const flag: Record<string, string> = hashed ? { PASSWORDS_HASHED: '1' } : {};
    const official = await startOfficialServer({ users, base, env: flag });
    let hostKeys: string[];
    try {
      const client = join(dataFolder(), 'client.anki2');
      hostKeys = JSON.parse(await run(await ankiPython(), ['-c', LOGIN, client, official.url, JSON.stringify(logins)], { env: ankiEnvironment() })) as string[];
    } finally {
      await official.stop();
    }

    const variables = Object.fromEntries(Object.entries(users).map(([name, secret], i) => [`SYNC_USER${i + 1}`, `${name}:${secret}`]));
    const ours = await openBuiltInAuth(base, { environment: readSyncUsers({ ...variables, ...flag }).users });
    try {
      for (const [i, [name, password]] of logins.entries()) {
        const user = await ours.hostKeys.resolve(hostKeys[i]!);
        assert.equal(user?.loginName, name);
        assert.equal(user.folder, name);
        assert.equal(existsSync(join(base, user.folder)), true);
        assert.deepEqual(await ours.authenticator.authenticate({ username: name, password }), { loginName: name });
        assert.equal(await ours.authenticator.authenticate({ username: name, password: `${password}x` }), null);
      }
    } finally {
      await ours.close();
    }
  });
}

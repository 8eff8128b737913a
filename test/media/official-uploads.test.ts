/** Anki's own server answers the same uploads: our list says what it does, and where we differ. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { type OfficialServer, startOfficialServer } from '../oracle/official-server.ts';
import { RawClient } from '../client/raw.ts';
import { UPLOADS } from './hostile-uploads.ts';

describe('Anki\'s server, given', () => {
  const users = Object.fromEntries(UPLOADS.map((_, index) => [`user${index}`, 'password']));
  let server: OfficialServer;
  before(async () => {
    server = await startOfficialServer({ users });
  });
  after(() => server.stop());

  for (const [index, { sentence, zip, answer, official }] of UPLOADS.entries()) {
    const expected = official ?? (typeof answer === 'string' ? 400 : answer);
    it(`${sentence}, answers ${JSON.stringify(expected)}`, async () => {
      const client = new RawClient(server.url);
      await client.hostKey(`user${index}`, 'password');
      const response = await client.msync('uploadChanges', zip());
      const seen = response.status === 200 ? (response.json() as { data: unknown }).data : response.status;
      assert.deepEqual(seen, expected);
    });
  }
});

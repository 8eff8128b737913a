/** A small application as a user of the package writes one: routes of its own, the sync server below /anki. */
import express from 'express';
import { expressSync } from '../../adapters/express/index.ts';
import { createSyncServer } from '../../lib/index.ts';

interface Arguments {
  base: string;
  port: number;
  users: Record<string, string>;
  maxPayloadMegs?: number;
}
const { base, port, users, maxPayloadMegs } = JSON.parse(process.argv[2] ?? '{}') as Arguments;

const sync = await createSyncServer({
  base,
  ...(maxPayloadMegs === undefined ? {} : { maxPackedBytes: maxPayloadMegs * 1024 ** 2, maxUnpackedBytes: 3 * maxPayloadMegs * 1024 ** 2 }),
  authenticator: {
    async authenticate({ username, password }: { username: string; password: string }) {
      return password !== '' && users[username] === password ? { loginName: username } : null;
    },
  },
});

const app = express();
app.get('/health', (_req, res) => {
  res.send('the application is up');
});
app.use('/anki', expressSync(sync));
app.use((_req, res) => {
  res.status(404).send('not found in the application');
});

const listener = app.listen(port, '127.0.0.1');
process.once('SIGTERM', () => {
  listener.close(() => {
    void sync.close().then(() => process.exit(0));
  });
  listener.closeAllConnections();
});

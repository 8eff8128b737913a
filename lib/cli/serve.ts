/** `anki-sync serve`: settings → server → socket, until a signal ends it. */
import type { IncomingMessage, RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import connect from 'connect';
import { expressSync, type MountedRequest } from '../../adapters/express/index.ts';
import { readSyncUsers } from '../auth/env-users.ts';
import { createSyncServer, type SyncServer } from '../index.ts';
import { isWorthALine, logLine } from './access-log.ts';
import { urlToEnter } from './addresses.ts';
import { clientAddress, type ClientAddressSource } from './client-address.ts';
import { welcomeFirstUser } from './first-user.ts';
import { parseFlags } from './flags.ts';
import { closeListener, createListener, listen } from './listener.ts';
import { serveFlags, serveSettings } from './settings.ts';
import { stopSignal } from './signals.ts';
import { packageVersion, type Surroundings } from './surroundings.ts';
import { UsageError } from './usage-error.ts';

/** Container runtimes kill after 10 s: until then, everything has to be closed and on disk. */
const MAX_CLOSING_MS = 8_000;

export async function serve(args: string[], { env, homeFolder, output }: Surroundings): Promise<number> {
  const { words, flags } = parseFlags(args, serveFlags);
  if (words.length > 0) throw new UsageError(`serve takes no "${words[0]}"; settings are flags, like --port 8080`);
  const settings = serveSettings(flags, env, homeFolder);
  const say = (line: string): void => void output.write(`${line}\n`);

  const { base, tls, firstUser } = settings;
  say(`anki-sync ${packageVersion()}, data in ${base}`);
  const { users: environmentUsers, warnings } = readSyncUsers(env);
  for (const warning of warnings) say(warning);
  const sync = createSyncServer({
    base,
    ...settings.limits,
    environmentUsers,
    log: (entry) => {
      if (isWorthALine(entry)) say(logLine(entry, new Date()));
    },
  });
  try {
    await sync.ready;
    const listener = await createListener(application(sync, settings.clientAddressSource), tls);
    await listen(listener, { host: settings.host, port: settings.port });
    try {
      const stop = stopSignal();
      const { address, port } = listener.address() as AddressInfo;
      const url = urlToEnter(tls === undefined ? 'http' : 'https', address, port);
      if (environmentUsers.length === 0) await welcomeFirstUser(base, firstUser, say);
      say(`listening on ${address} port ${port}; enter ${url} in Anki (open it in a browser to read how)`);
      say(`${await stop}: closing`);
    } finally {
      await closeListener(listener, MAX_CLOSING_MS);
    }
  } finally {
    await sync.close();
  }
  return 0;
}

function application(sync: SyncServer, source: ClientAddressSource): RequestListener {
  const app = connect();
  app.use(behindProxy(source));
  // without connect's `next`: whatever we do not know is answered as the core answers it
  const handler = expressSync(sync);
  app.use((req: MountedRequest, res) => handler(req, res));
  return app as RequestListener;
}

/** Address and scheme of the client, from the headers of the proxy that the operator declared; connect itself knows neither. */
function behindProxy(source: ClientAddressSource) {
  return (req: IncomingMessage & MountedRequest, _res: unknown, next: () => void): void => {
    req.ip = clientAddress(req, source);
    const forwarded = req.headers['x-forwarded-proto'];
    if (source !== 'ConnectInfo' && (forwarded === 'https' || forwarded === 'http')) req.protocol = forwarded;
    next();
  };
}

/** Our sign-in in front of a sync server that is there already. */
import { createSyncServerInFrontOf, type SyncServer } from '../server.ts';
import { checkUpstream, type GatewayOptions } from './settings.ts';

/**
 * A server that knows users, host keys, app passwords and login limits as `createSyncServer` does, and hands whatever a signed-in client asks
 * for on to another server, under that server's own user and key. Mounted as any other. Needs the package `http-proxy-3`.
 *
 * @throws TypeError for a wrong option. What is wrong with the data folder rejects `ready`.
 */
export function createGateway({ upstream, ...options }: GatewayOptions): SyncServer {
  const checked = checkUpstream(upstream);
  return createSyncServerInFrontOf(async (caseSensitive) => {
    // nobody else has to load it
    const { Forwarding } = await import('./forwarding.ts');
    return new Forwarding(checked, caseSensitive);
  }, options);
}

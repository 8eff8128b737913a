/**
 * `npm run try:caddy [-- --keep]`: the real Caddy with the configurations of adapters/caddy, at a path and at a host of its own with TLS: Debian's, and a
 * current one, which is built through the Go module proxy (some minutes, once; without Go it is left out, and says so). The server behind it, and
 * real Anki clients. Installs what is missing (Caddy as root on Debian, Anki into the project's cache), plays the story with each, and
 * prints `N passed, N failed`. With --keep, all of it stays up until Ctrl+C.
 */
import { caddyAtPath, caddyOwnHost, DEBIAN_CADDY } from '../test/proxies/caddy.ts';
import { buildCurrentCaddy, CaddyMissing, CURRENT_CADDY_VERSION, currentCaddy } from '../test/proxies/current-caddy.ts';
import { proxiesMissing } from '../test/proxies/debian.ts';
import { tryProxies } from './try-proxy.ts';

const missing = await proxiesMissing(['caddy']);
if (missing !== false) {
  console.error(missing);
  process.exit(1);
}
if ('missing' in currentCaddy()) console.log(`building Caddy ${CURRENT_CADDY_VERSION}: some minutes, and only this time`);
const current = await buildCurrentCaddy().catch((error: unknown) => {
  if (!(error instanceof CaddyMissing)) throw error;
  console.log(`skipped: ${error.message}`);
  return undefined;
});
const both: [name: string, command: string][] = [["Debian's Caddy", DEBIAN_CADDY]];
if (current !== undefined) both.push([`Caddy ${CURRENT_CADDY_VERSION}`, current]);
await tryProxies(both.flatMap(([name, command]) => [caddyAtPath(name, command), caddyOwnHost(name, command)]));

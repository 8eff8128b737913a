/**
 * `npm run try:caddy [-- --keep]`: the real Caddy with the configurations of adapters/caddy, at a path and at a host of its own with TLS: Debian's, and a
 * current one, which is built through the Go module proxy (some minutes, once; without Go it is left out, and says so). The server behind it, and
 * real Anki clients. Installs what is missing (Caddy as root on Debian, Anki into the project's cache), plays the story with each, and
 * prints `N passed, N failed`. With --keep, all of it stays up until Ctrl+C.
 */
import { buildCurrentCaddy, caddyAtPath, caddyOwnHost, CURRENT_CADDY_VERSION, currentCaddy, DEBIAN_CADDY } from '../test/proxies/caddy.ts';
import { proxiesMissing } from '../test/proxies/debian.ts';
import { tryProxies } from './try-proxy.ts';

const missing = await proxiesMissing(['caddy']);
if (missing !== false) {
  console.error(missing);
  process.exit(1);
}
if (currentCaddy() === undefined) console.log(`building Caddy ${CURRENT_CADDY_VERSION}: some minutes, and only this time`);
const current = await buildCurrentCaddy().catch((error: unknown) => {
  const why = error instanceof Error ? error.message.trim().split('\n').at(-1) : String(error);
  console.log(`skipped: Caddy ${CURRENT_CADDY_VERSION} cannot be built here: ${why}`);
  return undefined;
});
const both: [name: string, command: string][] = [["Debian's Caddy", DEBIAN_CADDY]];
if (current !== undefined) both.push([`Caddy ${CURRENT_CADDY_VERSION}`, current]);
await tryProxies(both.flatMap(([name, command]) => [caddyAtPath(name, command), caddyOwnHost(name, command)]));

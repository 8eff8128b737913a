/**
 * `npm run try:nginx [-- --keep]`: the real nginx with the configurations of adapters/nginx-njs, at a path and at a host of its own with TLS, with and
 * without its script; the server behind it, and real Anki clients. Installs what is missing (nginx and njs as root on Debian, Anki into the
 * project's cache), plays the story with each, and prints `N passed, N failed`. With --keep, all of it stays up until Ctrl+C.
 */
import { proxiesMissing } from '../test/proxies/debian.ts';
import { MANY_LOGINS, nginxAtPath, nginxOwnHost, nginxWithScript, nginxWithScriptAtPath } from '../test/proxies/nginx.ts';
import { tryProxies } from './try-proxy.ts';

const missing = await proxiesMissing(['nginx', 'libnginx-mod-http-js']);
if (missing !== false) {
  console.error(missing);
  process.exit(1);
}
await tryProxies([nginxAtPath, nginxOwnHost, nginxWithScript(MANY_LOGINS), nginxWithScriptAtPath]);

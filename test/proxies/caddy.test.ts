import { test } from 'node:test';
import { playBehind } from './behind-proxy.ts';
import { caddyAtPath, caddyOwnHost, caddySeveralServers, DEBIAN_CADDY } from './caddy.ts';
import { trustTestCertificates } from './certificates.ts';
import { currentCaddy, CURRENT_CADDY_VERSION } from './current-caddy.ts';
import { proxiesMissing } from './debian.ts';
import { wireThrough } from './wire.ts';

const skip = await proxiesMissing();
await trustTestCertificates();
if (skip !== false) {
  test("Debian's Caddy in front", { skip }, () => {});
} else {
  const name = "Debian's Caddy";
  for (const proxy of [caddyAtPath(name, DEBIAN_CADDY), caddyOwnHost(name, DEBIAN_CADDY)]) {
    wireThrough(proxy);
    playBehind(proxy);
  }
  wireThrough(caddySeveralServers(name, DEBIAN_CADDY));
}

const current = currentCaddy();
if ('missing' in current) {
  test(`Caddy ${CURRENT_CADDY_VERSION} in front`, { skip: current.missing }, () => {});
} else {
  const name = `Caddy ${CURRENT_CADDY_VERSION}`;
  for (const proxy of [caddyAtPath(name, current.command), caddyOwnHost(name, current.command)]) {
    wireThrough(proxy);
    playBehind(proxy);
  }
  wireThrough(caddySeveralServers(name, current.command));
}

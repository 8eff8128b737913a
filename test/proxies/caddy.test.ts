import { test } from 'node:test';
import { playBehind } from './behind-proxy.ts';
import { caddyAtPath, caddyOwnHost, caddySeveralServers, currentCaddy, CURRENT_CADDY_VERSION, DEBIAN_CADDY } from './caddy.ts';
import { trustTestCertificates } from './certificates.ts';
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
if (current === undefined) {
  test(`Caddy ${CURRENT_CADDY_VERSION} in front`, { skip: 'it takes minutes to build: npm run try:caddy does, and keeps it for this suite' }, () => {});
} else {
  const name = `Caddy ${CURRENT_CADDY_VERSION}`;
  for (const proxy of [caddyAtPath(name, current), caddyOwnHost(name, current)]) {
    wireThrough(proxy);
    playBehind(proxy);
  }
  wireThrough(caddySeveralServers(name, current));
}

import { test } from 'node:test';
import { playEverythingBehind } from './behind-proxy.ts';
import { caddyOwnHost, DEBIAN_CADDY } from './caddy.ts';
import { trustTestCertificates } from './certificates.ts';
import { proxiesMissing } from './debian.ts';

const skip = await proxiesMissing(['caddy']);
if (skip !== false) {
  test("Debian's Caddy in front", { skip }, () => {});
} else {
  await trustTestCertificates();
  playEverythingBehind(caddyOwnHost("Debian's Caddy", DEBIAN_CADDY));
}

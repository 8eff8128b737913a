import { test } from 'node:test';
import { playBehind } from './behind-proxy.ts';
import { trustTestCertificates } from './certificates.ts';
import { proxiesMissing } from './debian.ts';
import { haproxyAtPath, haproxyOwnHost, haproxySeveralServers } from './haproxy.ts';
import { wireThrough } from './wire.ts';

const skip = await proxiesMissing();
if (skip !== false) {
  test('HAProxy in front', { skip }, () => {});
} else {
  await trustTestCertificates();
  for (const proxy of [haproxyAtPath, haproxyOwnHost]) {
    wireThrough(proxy);
    playBehind(proxy);
  }
  wireThrough(haproxySeveralServers());
}

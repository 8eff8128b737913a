import { test } from 'node:test';
import { apacheAtPath, apacheOwnHost } from './apache.ts';
import { playBehind } from './behind-proxy.ts';
import { trustTestCertificates } from './certificates.ts';
import { proxiesMissing } from './debian.ts';
import { wireThrough } from './wire.ts';

const skip = await proxiesMissing();
if (skip !== false) {
  test('Apache in front', { skip }, () => {});
} else {
  await trustTestCertificates();
  for (const proxy of [apacheAtPath, apacheOwnHost]) {
    wireThrough(proxy);
    playBehind(proxy);
  }
}

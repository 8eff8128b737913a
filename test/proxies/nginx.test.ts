import { test } from 'node:test';
import { playBehind } from './behind-proxy.ts';
import { trustTestCertificates } from './certificates.ts';
import { proxiesMissing } from './debian.ts';
import { nginxAtPath, nginxOwnHost, nginxWithScript, nginxWithScriptAtPath } from './nginx.ts';
import { wireThrough } from './wire.ts';

const skip = await proxiesMissing();
if (skip !== false) {
  test('nginx in front', { skip }, () => {});
} else {
  await trustTestCertificates();
  for (const proxy of [nginxAtPath, nginxOwnHost, nginxWithScript(), nginxWithScriptAtPath]) {
    wireThrough(proxy);
    playBehind(proxy);
  }
}

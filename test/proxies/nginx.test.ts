import { test } from 'node:test';
import { playBehind } from './behind-proxy.ts';
import { trustTestCertificates } from './certificates.ts';
import { proxiesMissing } from './debian.ts';
import { MANY_LOGINS, nginxAtPath, nginxOwnHost, nginxWithScript, nginxWithScriptAtPath } from './nginx.ts';
import { wireThrough } from './wire.ts';

const skip = await proxiesMissing();
if (skip !== false) {
  test('nginx in front', { skip }, () => {});
} else {
  await trustTestCertificates();
  // and everything that clients do: everything-behind-nginx.test.ts
  wireThrough(nginxAtPath);
  for (const proxy of [nginxOwnHost, nginxWithScript(MANY_LOGINS), nginxWithScriptAtPath]) {
    wireThrough(proxy);
    playBehind(proxy);
  }
}

import { test } from 'node:test';
import { playEverythingBehind } from './behind-proxy.ts';
import { trustTestCertificates } from './certificates.ts';
import { proxiesMissing } from './debian.ts';
import { nginxAtPath } from './nginx.ts';

const skip = await proxiesMissing(['nginx']);
if (skip !== false) {
  test('nginx in front', { skip }, () => {});
} else {
  await trustTestCertificates();
  playEverythingBehind(nginxAtPath);
}

import assert from 'node:assert/strict';
import { Agent } from 'node:https';
import { test } from 'node:test';
import type { TLSSocket } from 'node:tls';
import { setTimeout as sleep } from 'node:timers/promises';
import { RawClient } from '../client/raw.ts';
import { playBehind } from './behind-proxy.ts';
import { caddyAtPath, caddyByItself, caddyOwnHost, caddySeveralServers, DEBIAN_CADDY } from './caddy.ts';
import { trustTestCertificates } from './certificates.ts';
import { currentCaddy, CURRENT_CADDY_VERSION } from './current-caddy.ts';
import { proxiesMissing } from './debian.ts';
import { startProxy, type Proxy } from './proxy.ts';
import { Upstream } from './upstream.ts';
import { wireThrough } from './wire.ts';

const skip = await proxiesMissing();
await trustTestCertificates();
if (skip !== false) {
  test("Debian's Caddy in front", { skip }, () => {});
} else {
  const name = "Debian's Caddy";
  wireThrough(caddyAtPath(name, DEBIAN_CADDY));
  playBehind(caddyAtPath(name, DEBIAN_CADDY));
  // and everything that clients do: everything-behind-caddy.test.ts
  wireThrough(caddyOwnHost(name, DEBIAN_CADDY));
  wireThrough(caddySeveralServers(name, DEBIAN_CADDY));
  getsCertificate(caddyByItself(name, DEBIAN_CADDY));
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
  getsCertificate(caddyByItself(name, current.command));
}

function getsCertificate(proxy: Proxy): void {
  test(`${proxy.name}: nobody has to bring one`, { timeout: 60_000 }, async (t) => {
    const upstream = await Upstream.start();
    t.after(() => upstream.stop());
    const running = await startProxy(proxy, [upstream.port]);
    t.after(() => running.stop());
    // its authority is known to nobody
    const raw = new RawClient(running.endpoint, { agent: new Agent({ rejectUnauthorized: false }) });
    // until it has one, there is no connection
    const asking = () => raw.sendUnread('GET', 'health', null, { syncHeader: null }).catch(() => undefined);
    let answer = await asking();
    for (; answer === undefined; answer = await asking()) await sleep(100);
    const { issuer, subjectaltname } = (answer.socket as TLSSocket).getPeerCertificate();
    assert.match(String(issuer.CN), /^Caddy Local Authority/);
    assert.equal(subjectaltname, 'DNS:localhost');
    assert.equal(answer.resume().statusCode, 200);
  });
}

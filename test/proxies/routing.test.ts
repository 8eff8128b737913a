/** Several servers behind one proxy: all devices of a user meet in one of them. The servers are stand-ins that tell who came. */
import assert from 'node:assert/strict';
import { hash } from 'node:crypto';
import { test, type TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { RawClient } from '../client/raw.ts';
import { caddySeveralServers, DEBIAN_CADDY } from './caddy.ts';
import { trustTestCertificates } from './certificates.ts';
import { currentCaddy, CURRENT_CADDY_VERSION } from './current-caddy.ts';
import { proxiesMissing } from './debian.ts';
import { haproxySeveralServers } from './haproxy.ts';
import { nginxWithScript, quickJsMissing } from './nginx.ts';
import { startProxy, type Proxy, type RunningProxy } from './proxy.ts';
import { answerPacked, Upstream } from './upstream.ts';

const skip = await proxiesMissing();
await trustTestCertificates();

/** As the server makes them: `device` decides the secret. */
function keyOf(user: number, device = 0): string {
  const id = hash('sha256', `user ${user}`).replaceAll(/[^2-7a-f]/g, '').slice(0, 16);
  return `1.${id}.${hash('sha256', `${user} ${device}`, 'base64url')}`;
}

const routingIdOf = (key: string): string => key.split('.')[1]!;

interface Behind {
  proxy: RunningProxy;
  servers: Upstream[];
  /** Numbers of the servers that got a request, in its order. */
  came: number[];
}

async function start(t: TestContext, proxy: Proxy, known?: Upstream[]): Promise<Behind> {
  const servers = known ?? [await Upstream.start(), await Upstream.start()];
  const came: number[] = [];
  for (const [i, server] of servers.entries()) {
    server.does((req, res) => {
      if (req.url === '/health') return void res.end('ok');
      came.push(i);
      req.resume().on('end', () => answerPacked(res, Buffer.from('{}'), 2));
    });
    t.after(() => server.stop());
  }
  const running = await startProxy(proxy, servers.map(({ port }) => port));
  t.after(() => running.stop());
  return { proxy: running, servers, came };
}

async function send(proxy: RunningProxy, key: string, options: { headers?: Record<string, string>; method?: string } = {}): Promise<number> {
  const raw = new RawClient(proxy.endpoint, { key, sessionKey: 'one' });
  const response = await raw.sendUnread('POST', `sync/${options.method ?? 'meta'}`, {}, { headers: options.headers ?? {} });
  response.resume();
  return response.statusCode ?? 0;
}

/** Which server each of the users gets, by three requests of two devices. */
async function serversOf({ proxy, came }: Behind, users: number): Promise<number[]> {
  const found: number[] = [];
  for (let user = 0; user < users; user++) {
    came.length = 0;
    for (const device of [0, 1, 0]) assert.equal(await send(proxy, keyOf(user, device)), 200);
    assert.equal(new Set(came).size, 1, `the devices of user ${user} came to ${came.join(', ')}`);
    found.push(came[0]!);
  }
  return found;
}

const several: Proxy[] = [nginxWithScript(), caddySeveralServers("Debian's Caddy", DEBIAN_CADDY), haproxySeveralServers()];
const current = currentCaddy();
if ('missing' in current) test(`Caddy ${CURRENT_CADDY_VERSION} over several servers`, { skip: current.missing }, () => {});
else several.push(caddySeveralServers(`Caddy ${CURRENT_CADDY_VERSION}`, current.command));

for (const proxy of several) {
  test(`all devices of a user meet in one server, and users are spread: ${proxy.name}`, { skip }, async (t) => {
    const found = await serversOf(await start(t, proxy), 40);
    for (const server of [0, 1]) assert.ok(found.filter((each) => each === server).length >= 8, found.join(''));
  });

  test(`what a client writes into headers of its own does not move it: ${proxy.name}`, { skip }, async (t) => {
    const behind = await start(t, proxy);
    const [mine] = await serversOf(behind, 1);
    behind.came.length = 0;
    for (let other = 1; other < 20; other++) {
      await send(behind.proxy, keyOf(0), { headers: { 'anki-routing-id': routingIdOf(keyOf(other)), 'x-forwarded-for': `198.51.100.${other}` } });
    }
    assert.deepEqual(new Set(behind.came), new Set([mine]));
  });

  test(`headers that are no key of ours do no harm: ${proxy.name}`, { skip }, async (t) => {
    const { proxy: running } = await start(t, proxy);
    const raw = new RawClient(running.endpoint);
    const notJson = ['', '{', '"\\', '['.repeat(3000)];
    const notOurs = ['[]', 'null', '0', '{"k":{}}', '{"k":["1.abcdefgh23456777.x"]}', '{"k":"1."}', `{"k":"${'.'.repeat(500)}"}`, '{"k":"\\u0000"}'];
    for (const syncHeader of [...notJson, ...notOurs]) {
      const response = await raw.sendUnread('POST', 'sync/meta', {}, { syncHeader });
      assert.equal(response.resume().statusCode, 200, syncHeader);
    }
    for (const query of ['k=a&k=b', 'k=%00', 'k', 'k=%zz', 'k[]=1']) {
      const response = await raw.sendUnread('GET', `msync/begin?${query}`, null, { syncHeader: null });
      assert.equal(response.resume().statusCode, 200, query);
    }
  });
}

const withThird: [Proxy, (port: number) => Proxy][] = [
  [nginxWithScript(), (port) => nginxWithScript({ 'keepalive 16;': `server 127.0.0.1:${port};\n    keepalive 16;` })],
  [haproxySeveralServers(), (port) => haproxySeveralServers({ 'id 2\n': `id 2\n    server three 127.0.0.1:${port} id 3\n` })],
];
for (const [proxy, third] of withThird) {
  test(`a new server takes over its share of users, and no other user moves: ${proxy.name}`, { skip }, async (t) => {
    const two = await start(t, proxy);
    const before = await serversOf(two, 40);
    const servers = [...two.servers, await Upstream.start()];
    const after = await serversOf(await start(t, third(servers[2]!.port), servers), 40);
    const moved = after.filter((server, user) => server !== before[user]);
    assert.ok(moved.every((server) => server === 2), 'who moves, moves to the new one');
    assert.ok(moved.length > 0 && moved.length <= 30, `${moved.length} of 40 moved`);
  });
}

test('clients that have no key in a header stay at one server, by their address', { skip }, async (t) => {
  for (const proxy of [nginxWithScript(), haproxySeveralServers()]) {
    const { proxy: running, came } = await start(t, proxy);
    const raw = new RawClient(running.endpoint);
    for (let i = 0; i < 10; i++) (await raw.sendUnread('POST', 'msync/begin', {}, { syncHeader: null })).resume();
    assert.equal(new Set(came).size, 1, proxy.name);
  }
});

test('nginx counts the key that the oldest clients write into an address as any other', { skip }, async (t) => {
  const behind = await start(t, nginxWithScript());
  const found = await serversOf(behind, 20);
  for (const [user, server] of found.entries()) {
    behind.came.length = 0;
    (await new RawClient(behind.proxy.endpoint).sendUnread('GET', `msync/begin?k=${keyOf(user, 7)}&v=anki`, null, { syncHeader: null })).resume();
    assert.deepEqual(behind.came, [server]);
  }
});

test('of two servers one may go: its users get the other, and whoever watches is told', { skip }, async (t) => {
  const behind = await start(t, nginxWithScript());
  const raw = new RawClient(behind.proxy.endpoint);
  const health = async (): Promise<{ status: number; told: string[] }> => {
    const { status, text } = await raw.get('health/servers');
    return { status, told: Object.values(JSON.parse(text()) as object) };
  };
  assert.deepEqual(await health(), { status: 200, told: ['up', 'up'] });
  await behind.servers[0]!.stop();
  assert.deepEqual(await health(), { status: 200, told: ['down', 'up'] });
  assert.deepEqual(new Set(await serversOf(behind, 20)), new Set([1]));
  await behind.servers[1]!.stop();
  assert.deepEqual(await health(), { status: 503, told: ['down', 'down'] });
  assert.ok([502, 503].includes(await send(behind.proxy, keyOf(1))));
});

test("nginx's log tells people apart, by something that leads neither to a name nor to a key", { skip }, async (t) => {
  const { proxy } = await start(t, nginxWithScript());
  for (const [user, device] of [[1, 0], [1, 1], [2, 0]] as const) await send(proxy, keyOf(user, device));
  (await new RawClient(proxy.endpoint).sendUnread('POST', 'sync/hostKey', {}, { key: '' })).resume();
  // written down after the client has its answer
  let log = '';
  let users: string[] = [];
  for (let attempt = 0; users.length < 4; attempt++) {
    assert.ok(attempt < 600, log);
    await sleep(50);
    log = await proxy.log();
    users = [...log.matchAll(/"POST \/sync\/(?:meta|hostKey) HTTP\/1\.1" 200 .* user=(\S+) server=127\.0\.0\.1:\d+$/gm)].map((match) => match[1]!);
  }
  const expected = [1, 1, 2].map((user) => hash('sha256', routingIdOf(keyOf(user))).slice(0, 12));
  assert.deepEqual(users, [...expected, '-']);
  assert.ok(!log.includes(routingIdOf(keyOf(1))));
});

test('nginx slows down one user who is far too fast, then refuses with a time to wait; others are not touched', { skip }, async (t) => {
  const { proxy } = await start(t, nginxWithScript({ 'rate=50r/s': 'rate=2r/s', 'burst=500 delay=200': 'burst=5 delay=2' }));
  const raw = new RawClient(proxy.endpoint, { key: keyOf(1), sessionKey: 'one' });
  const answers = await Promise.all(Array.from({ length: 40 }, async () => (await raw.sendUnread('POST', 'sync/meta', {})).resume()));
  const refused = answers.filter(({ statusCode }) => statusCode === 429);
  assert.ok(refused.length > 0 && refused.length < 40, `${refused.length} of 40 were refused`);
  for (const { headers } of refused) assert.equal(headers['retry-after'], '10');
  assert.equal(await send(proxy, keyOf(2)), 200);
});

for (const proxy of [nginxWithScript(), haproxySeveralServers()]) {
  test(`logins are limited by address, and nothing else is: ${proxy.name}`, { skip }, async (t) => {
    const { proxy: running } = await start(t, proxy);
    const statuses: number[] = [];
    for (let i = 0; i < 80; i++) statuses.push(await send(running, '', { method: 'hostKey' }));
    assert.ok(statuses.slice(0, 25).every((status) => status === 200) && statuses.at(-1) === 429, statuses.join(' '));
    assert.equal(await send(running, keyOf(1)), 200);
  });
}

test('nginx tells the operator of answers that no server of Anki gives', { skip }, async (t) => {
  const { proxy, servers } = await start(t, nginxWithScript());
  for (const server of servers) server.does((req, res) => req.resume().on('end', () => void res.end('<html>please sign in</html>')));
  await send(proxy, keyOf(1));
  assert.match(await proxy.log(), /an answer to \/sync\/meta has no anki-original-size/);
});

test('the script for nginx runs in QuickJS as well', { skip: skip !== false ? skip : quickJsMissing() }, async (t) => {
  const found = await serversOf(await start(t, nginxWithScript({}, 'js_engine qjs;\n')), 20);
  assert.equal(new Set(found).size, 2);
});

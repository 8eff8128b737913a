import assert from 'node:assert/strict';
import { hash } from 'node:crypto';
import { test } from 'node:test';
import { inQuickJs, type NginxRequest } from './quickjs.ts';

const ID = 'abcdefgh23456777';
const KEY = `1.${ID}.${'x'.repeat(43)}`;
const sent = (key: unknown): NginxRequest => ({ headersIn: { 'anki-sync': JSON.stringify({ v: 11, k: key, c: 'x', s: '' }) }, remoteAddress: '192.0.2.7' });

test('in QuickJS, the script for nginx finds whose key it is, in a header and in an address, and nobody in anything else', async () => {
  const known = [sent(KEY), { args: { k: KEY }, remoteAddress: '192.0.2.7' }];
  const notJson = ['', '{', '"\\', '['.repeat(3000)].map((text) => ({ ...sent(''), headersIn: { 'anki-sync': text } }));
  const notOurs = [null, 0, {}, [KEY], '1.', `1.${ID}`, `${KEY}x`, `2${KEY.slice(1)}`, KEY.toUpperCase(), '.'.repeat(500), '\0'].map(sent);
  const unknown = [...notJson, ...notOurs, { remoteAddress: '192.0.2.7' }, { args: { k: [KEY] }, remoteAddress: '192.0.2.7' }];
  const all = [...known, ...unknown];
  const outcomes = await inQuickJs(['routingId', 'routingKey', 'logId'].flatMap((name) => all.map((request) => [name, request] as const)));
  const of = (n: number): unknown[] => outcomes.slice(n * all.length, (n + 1) * all.length).map(({ value }) => value);
  assert.deepEqual(of(0), [ID, ID, ...unknown.map(() => '')]);
  assert.deepEqual(of(1), [ID, ID, ...unknown.map(() => '192.0.2.7')]);
  const logId = hash('sha256', ID).slice(0, 12);
  assert.deepEqual(of(2), [logId, logId, ...unknown.map(() => '-')]);
});

test('in QuickJS, it tells a client that is too fast when to come again, and the operator of answers that no server of Anki gives', async () => {
  const asked = { ...sent(KEY), method: 'POST', uri: '/sync/meta' };
  const [tooFast, told, strange, right, page] = await inQuickJs([
    ['answer', { ...asked, status: 429 }],
    ['answer', { ...asked, status: 429, headersOut: { 'Retry-After': '3' } }],
    ['answer', { ...asked, status: 200 }],
    ['answer', { ...asked, status: 200, headersOut: { 'anki-original-size': '2' } }],
    ['answer', { method: 'GET', uri: '/', status: 200 }],
  ]);
  assert.deepEqual([tooFast!.headersOut, told!.headersOut], [{ 'Retry-After': '10' }, { 'Retry-After': '3' }]);
  assert.equal(strange!.warnings.length, 1);
  assert.match(strange!.warnings[0]!, /\/sync\/meta has no anki-original-size/);
  assert.deepEqual([...right!.warnings, ...page!.warnings], []);
});

test('in QuickJS, it tells which servers answer', async () => {
  const variables = { anki_servers: '127.0.0.1:1 127.0.0.1:2' };
  const [one, none] = await inQuickJs([['health', { variables, servers: { '127.0.0.1:2': 200 } }], ['health', { variables, servers: { '127.0.0.1:1': 502 } }]]);
  assert.deepEqual(one!.returned, { status: 200, text: '{"127.0.0.1:1":"down","127.0.0.1:2":"up"}\n' });
  assert.deepEqual(none!.returned, { status: 503, text: '{"127.0.0.1:1":"down","127.0.0.1:2":"down"}\n' });
});

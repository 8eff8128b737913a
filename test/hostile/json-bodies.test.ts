/** JSON that parsers read differently, sent as it is to our server and to Anki's: the same answer, or a better one with a reason. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { zstdCompressSync } from 'node:zlib';
import { stringifyLossless, type Json } from '../../lib/schema/json.ts';
import { RawClient } from '../client/raw.ts';
import { card, deck, note, notetype } from '../collection/objects.ts';
import { Player } from '../collection/player.ts';
import { startOfficialServer, type OfficialServer } from '../oracle/official-server.ts';
import { PASSWORD, runningServer, type RunningServer } from '../server/running-server.ts';

let server: RunningServer;
let officialServer: OfficialServer;
const clients: Record<'ours' | 'official', RawClient> = {} as never;

before(async () => {
  // one after the other: whatever fails, `after` knows what to end
  server = await runningServer();
  officialServer = await startOfficialServer({ users: { ada: PASSWORD } });
  for (const [key, url] of [['ours', server.url], ['official', officialServer.url]] as const) {
    clients[key] = new RawClient(url, { sessionKey: 'session' });
    await clients[key].hostKey('ada', PASSWORD);
    await new Player(clients[key]).begin();
  }
});

after(async () => {
  await server?.stop();
  await officialServer?.stop();
});

/** The status of a step in a running sync, which then ends; `meta` and the like stand for themselves. */
async function statusOf(client: RawClient, method: string, body: Buffer): Promise<number> {
  const inSync = ['applyGraves', 'applyChanges', 'applyChunk', 'sanityCheck2'].includes(method);
  if (inSync) assert.equal((await client.post('start', { minUsn: 0, lnewer: false, graves: null })).status, 200);
  if (method === 'applyChunk') {
    assert.equal((await client.post('applyChanges', { changes: { models: [notetype({})], decks: [[], []], tags: [] } })).status, 200);
  }
  const { status } = await client.post(method, zstdCompressSync(body), { packed: true });
  await client.post('abort');
  return status;
}

const META = '{"v":11,"cv":"x"}';
const changes = (parts: { [key: string]: Json }): string => stringifyLossless({ changes: { models: [], decks: [[], []], tags: [], ...parts } });
const aDeck = stringifyLossless(deck({}));
const decks = (text: string): string => `{"changes":{"models":[],"decks":[[${text}],[]],"tags":[]}}`;
const conf = (text: string): string => `{"changes":{"models":[],"decks":[[],[]],"tags":[],"conf":${text}}}`;
const chunk = (rows: { [key: string]: Json }): string => stringifyLossless({ chunk: { done: true, ...rows } });
const bytes = (...parts: (string | number[])[]): Buffer => Buffer.concat(parts.map((part) => Buffer.from(part as string)));
const deep = (levels: number): string => '['.repeat(levels) + ']'.repeat(levels);

/** `[method, body, status, the official server's where it differs, why]` */
const CASES: Record<string, [method: string, body: string | Buffer, status: number, official?: number, why?: string]> = {
  'a byte order mark before the body': ['meta', `\ufeff${META}`, 400],
  'a body in UTF-16': ['meta', Buffer.from(META, 'utf16le'), 400],
  'white space around the body': ['meta', ` \n\t${META}\r\n `, 200],
  'something behind the body': ['meta', `${META}x`, 400],
  'a second body behind the first': ['meta', META + META, 400],
  'a NUL behind the body': ['meta', `${META}\0`, 400],
  'a body that is a number': ['meta', '11', 400],
  'a body that is a list, as some writers of structs send it': ['meta', '[11,"x"]', 400, 200, 'no client sends it'],
  'a comma too many': ['meta', '{"v":11,"cv":"x",}', 400],
  'a comment': ['meta', '{"v":11,/**/"cv":"x"}', 400],
  'a key twice': ['meta', '{"v":11,"v":11,"cv":"x"}', 200, 400, 'the last one counts'],
  'a number as text': ['meta', '{"v":"11","cv":"x"}', 400],
  'a number as a fraction': ['meta', '{"v":11.0,"cv":"x"}', 400],
  'a number with an exponent': ['meta', '{"v":1.1e1,"cv":"x"}', 400],
  'a number with a zero before it': ['meta', '{"v":011,"cv":"x"}', 400],
  'a number with a plus sign': ['meta', '{"v":+11,"cv":"x"}', 400],
  'a key __proto__': ['meta', '{"v":11,"cv":"x","__proto__":{"v":7}}', 200],
  'a key __proto__ in place of those that are needed': ['meta', '{"__proto__":{"v":11,"cv":"x"}}', 400],
  'bytes that are no UTF-8 in a text': ['meta', bytes('{"v":11,"cv":"', [0xff], '"}'), 400],
  'a surrogate in UTF-8 bytes': ['meta', bytes('{"v":11,"cv":"', [0xed, 0xa0, 0x80], '"}'), 400],
  'an overlong NUL': ['meta', bytes('{"v":11,"cv":"', [0xc0, 0x80], '"}'), 400],
  'half a surrogate pair, escaped': ['meta', '{"v":11,"cv":"\\ud800"}', 400],
  'a whole surrogate pair, escaped': ['meta', '{"v":11,"cv":"\\ud83d\\ude00"}', 200],
  'a line break in a text': ['meta', '{"v":11,"cv":"a\nb"}', 400],
  'a hundred thousand brackets that open': ['applyChanges', '['.repeat(100_000), 400],
  'a hundred thousand brackets that open and close': ['applyChanges', deep(100_000), 400],
  'a hundred thousand objects in each other': ['applyChanges', `${'{"a":'.repeat(100_000)}1${'}'.repeat(100_000)}`, 400],
  'a config of a hundred thousand levels': ['applyChanges', conf(`{"a":${deep(100_000)}}`), 400],
  'a config of 120 levels': ['applyChanges', conf(`{"a":${deep(120)}}`), 200],
  'a config with a number beyond any': ['applyChanges', conf('{"a":1e999}'), 400],
  'a config with minus zero and a number of 400 digits': ['applyChanges', conf(`{"a":-0,"b":0.${'1'.repeat(400)}}`), 200],
  'a config with an integer of 400 digits': ['applyChanges', conf(`{"a":${'1'.repeat(400)}}`), 400],
  'a config with a key twice, and __proto__': ['applyChanges', conf('{"a":1,"a":2,"__proto__":{"b":1},"constructor":null}'), 200],
  'a deck with a key twice': ['applyChanges', decks(aDeck.replace('{', '{"mod":5,')), 200],
  'a deck with an id of 2^53 + 1': ['applyChanges', decks(aDeck.replace('"id":3000', '"id":9007199254740993')), 200],
  'a deck with an id of 2^63': ['applyChanges', decks(aDeck.replace('"id":3000', '"id":9223372036854775808')), 400],
  'a deck with an id that is a text of digits': ['applyChanges', decks(aDeck.replace('"id":3000', '"id":"3001"')), 200],
  'a deck with an id that is minus zero': ['applyChanges', decks(aDeck.replace('"id":3000', '"id":-0')), 400],
  'a deck with a name of half a surrogate pair': ['applyChanges', decks(aDeck.replace('"name":"deck"', '"name":"\\udc00"')), 400],
  'a hundred thousand empty tags': ['applyChanges', changes({ tags: Array<string>(100_000).fill('') }), 200],
  'a deck that is null': ['applyChanges', decks('null'), 400],
  'a million nulls for decks': ['applyChanges', decks(Array(1_000_000).fill('null').join()), 400],
  'a note whose id is a text of digits': ['applyChunk', chunk({ notes: [note({ id: '5000' })] }), 400],
  'a note with an id of 2^53 + 1': ['applyChunk', chunk({ notes: [note({})] }).replace('5000', '9007199254740993'), 200],
  'a card whose due is 1e999': ['applyChunk', chunk({ cards: [card({ due: 7 })] }).replace(',7,', ',1e999,'), 400],
  'a card whose due is 1e300': ['applyChunk', chunk({ cards: [card({ due: 7 })] }).replace(',7,', ',1e300,'), 200],
  'a card with a column more': ['applyChunk', chunk({ cards: [[...card({}), 1]] }), 400],
  'graves with ids of text': ['applyGraves', '{"chunk":{"cards":["1"],"notes":[],"decks":[]}}', 400],
  'graves with an id of 2^64': ['applyGraves', '{"chunk":{"cards":[18446744073709551616],"notes":[],"decks":[]}}', 400],
  'a hundred thousand graves': ['applyGraves', JSON.stringify({ chunk: { cards: Array.from({ length: 100_000 }, (_, i) => i + 9_000_000), notes: [], decks: [] } }), 200],
  'counts as text': ['sanityCheck2', '{"client":[["0",0,0],0,0,0,0,0,0,0]}', 400],
};

describe('a body with', () => {
  for (const [name, [method, body, status, official, why]] of Object.entries(CASES)) {
    test(`${name} is answered ${status}${why === undefined ? ', as by the official server' : `: ${why}`}`, async () => {
      const raw = Buffer.from(body as string);
      assert.equal(await statusOf(clients.ours, method, raw), status, 'ours');
      assert.equal(await statusOf(clients.official, method, raw), official ?? status, "Anki's");
    });
  }
});

test('after all of these the server tells of no error of its own, and every digit and key of an odd deck comes back', async () => {
  const user = new Player(await server.user('another'));
  await user.begin();
  const [id, field] = ['9007199254740993', '-7290854878769846350'];
  const odd = `{"changes":{"models":[],"decks":[[${aDeck.replace('"id":3000', `"id":${id}`).replace('{', `{"__proto__":{"x":${field}},"y":1.50,`)}],[]],"tags":[]}}`;
  await user.start();
  assert.equal((await user.client.post('applyChanges', odd)).status, 200);
  assert.equal(await user.status('chunk'), 200);
  await user.status('finish');
  await user.start();
  const text = (await user.client.post('applyChanges', changes({}))).text();
  assert.ok(text.includes(`"id":${id}`) && text.includes(`"__proto__":{"x":${field}}`) && text.includes('"y":1.50'), 'every digit and key comes back');
  await user.status('abort');
  assert.deepEqual(server.log.filter(({ code }) => code === 'INTERNAL' || code === 'THREAD_LOST'), []);
});

test('thousands of decks of one name are told apart in a moment, and more of them than a collection can hold fail the step', async () => {
  const user = new Player(await server.user('of one name'));
  await user.begin();
  const same = (count: number): Json[] => Array.from({ length: count }, (_, i) => deck({ id: 10_000 + i, name: 'same' }));
  await user.start();
  assert.equal(await user.status('applyChanges', { changes: { models: [], decks: [same(3000), []], tags: [] } }), 200);
  await user.status('abort');
  await user.start();
  assert.equal(await user.status('applyChanges', { changes: { models: [], decks: [same(100_000), []], tags: [] } }), 400);
  await user.start();
  assert.equal(await user.status('abort'), 200);
});

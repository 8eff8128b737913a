import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseLossless, stringifyLossless, type Json } from '../../lib/schema/json.ts';
import { newCollection } from '../../lib/schema/new-collection.ts';
import * as schema11 from '../../lib/schema/schema11.ts';
import { SchemaError } from '../../lib/schema/schema-error.ts';
import { officialSync, type OfficialSync } from './official-sync.ts';

type JsonObject = { [key: string]: Json };

const fresh = newCollection(1_000_000);
const first = (text: string): JsonObject => (Object.values(parseLossless(text) as object) as JsonObject[])[0]!;
const NOTETYPE = first(fresh.models);
const DECK = first(fresh.decks);
const DECK_CONFIG = first(fresh.dconf);
const FILTERED: JsonObject = { ...DECK, dyn: 1, resched: true, terms: [['is:due', 100, 6]], delays: null, previewDelay: 10 };

const FILTERED_KEYS = [
  'dyn', 'conf', 'resched', 'terms', 'separate', 'delays', 'previewDelay', 'previewAgainSecs', 'previewHardSecs', 'previewGoodSecs',
];
const SEARCH_TERMS = [
  '[["a",1,1],["b","2",2]]', '[["a",1]]', '[["a",1,1,1]]', '[[1,1,1]]', '[["a",1.0,1]]', '[["a",1,"1"]]', '[["a",-1,-1]]',
];

const textOf = (row: readonly (number | bigint | string)[]): string => `[${row.map((value) => (typeof value === 'string' ? JSON.stringify(value) : value)).join(',')}]`;

function ours(parse: (json: Json) => unknown, text: string): 200 | 400 {
  try {
    parse(parseLossless(text));
    return 200;
  } catch (error) {
    assert.ok(error instanceof SchemaError, String(error));
    return 400;
  }
}

/** Sends each body to the official server, and expects the same verdict of ours. */
async function assertVerdicts(official: OfficialSync, method: string, parse: (json: Json) => unknown, bodies: string[]): Promise<void> {
  const verdicts = new Set<number>();
  for (const body of bodies) {
    await official.start();
    const verdict = await official.postText(method, body);
    assert.equal(ours(parse, body), verdict, `${method} ${body.slice(0, 1500)}`);
    verdicts.add(verdict);
  }
  assert.deepEqual([...verdicts].sort(), [200, 400], 'bodies of both kinds');
}

/** Every value that JSON has, and the edges of each integer type, as source text. */
const VALUES = [
  'null', 'true', 'false', '""', '"x"', '"1"', '"+1"', '"-0"', '"01"', '" 1"', '"1.0"', '"true"', '"9223372036854775808"', '[]',
  '[1]', '["x"]', '[null]', '{}',
  '0', '1', '2', '3', '4', '5', '6', '-1', '-3', '-4', '-0', '1.0', '0.0', '1.5', '-1.5', '1e0', '1e3', '255', '256', '65535',
  '65536', '2147483647', '2147483648',
  '-2147483648', '-2147483649', '4294967295', '4294967296', '9007199254740993', '9223372036854775807', '9223372036854775808',
  '-9223372036854775808',
  '-9223372036854775809', '18446744073709551615', '18446744073709551616', '1e400',
];

/** Enough for keys of objects, which have no narrow ranges. */
const OBJECT_VALUES = [
  'null', 'true', '""', '"x"', '"1"', '"+1"', '"1.0"', '"9223372036854775808"', '[]', '[1]', '["x"]', '{}', '0', '1', '2', '-1',
  '-0', '1.0', '1.5', '1e3', '256', '65536',
  '2147483648', '-2147483649', '4294967296', '9223372036854775808', '1e400',
];

/** Without the number that only ignored keys may hold there, and none may here. */
const DOUBLES = OBJECT_VALUES.filter((value) => value !== '1e400');

const BOOLEANS = [
  '"True"', '"FALSE"', '"t"', '"yes"', '"on"', '"0"', '"2"', '"00"', '"1."', '".0"', '"-0.0"', '"1e0"', '"10e-1"', '"inf"', '"nan"',
  '"0x1"', '"."', '"1.5"',
  '10e-1', '0e5', '1.0000000000000003', '0.99999999999999989', '1e300', '-0.0', '"1.0000000000000001"',
];

/** The object with one key replaced by each of the values, and without the key. */
function variations(object: JsonObject, keys: string[], values = OBJECT_VALUES): string[] {
  return keys.flatMap((key) => {
    const text = (value: Json): string => stringifyLossless({ ...object, [key]: value });
    const { [key]: _gone, ...without } = object;
    return [stringifyLossless(without), ...values.map((value) => text('@').replace('"@"', () => value))];
  });
}

test('notetypes are taken and refused as on the official server', { timeout: 120_000 }, async (t) => {
  const official = await officialSync(t);
  const changes = (model: string): string => `{"changes":{"models":[${model}],"decks":[[],[]],"tags":[]}}`;
  const { tmpls: [template], flds: [field, other] } = NOTETYPE as { tmpls: [JsonObject]; flds: [JsonObject, JsonObject] };
  const withField = (text: string): string => stringifyLossless({ ...NOTETYPE, flds: ['@', other] }).replace('"@"', () => text);
  const withTemplate = (text: string): string => stringifyLossless({ ...NOTETYPE, tmpls: ['@'] }).replace('"@"', () => text);
  await assertVerdicts(official, 'applyChanges', schema11.parseUnchunkedChangesRequest, [
    ...variations({ ...NOTETYPE, originalId: null, someNewKey: 1 }, [...Object.keys(NOTETYPE), 'originalId', 'someNewKey']).map(changes),
    ...variations({ ...field, newer: 1 }, [...Object.keys(field), 'newer']).map(withField).map(changes),
    ...variations(field, ['sticky', 'rtl'], BOOLEANS).map(withField).map(changes),
    ...variations({ ...template, newer: 1 }, [...Object.keys(template), 'newer']).map(withTemplate).map(changes),
    ...['1', 'null', '[]', '"x"'].map(changes),
  ]);
});

test('decks and deck configs are taken and refused as on the official server', { timeout: 120_000 }, async (t) => {
  const official = await officialSync(t);
  const decks = (deck: string): string => `{"changes":{"models":[],"decks":[[${deck}],[]],"tags":[]}}`;
  const configs = (config: string): string => `{"changes":{"models":[],"decks":[[],[${config}]],"tags":[]}}`;
  const filtered = { ...FILTERED, separate: true, previewAgainSecs: 1, previewHardSecs: 1, previewGoodSecs: 1 };
  await assertVerdicts(official, 'applyChanges', schema11.parseUnchunkedChangesRequest, [
    ...variations({ ...DECK, md: false, newer: 1 }, [...Object.keys(DECK), 'md', 'newer']).map(decks),
    ...variations(filtered, FILTERED_KEYS).map(decks),
    ...variations(filtered, ['terms'], SEARCH_TERMS).map(decks),
    ...variations({ ...DECK_CONFIG, newer: 1 }, [...Object.keys(DECK_CONFIG), 'newer']).map(configs),
    ...variations(DECK_CONFIG, ['fsrsWeights', 'easyDaysPercentages'], ['[1,2.5,1e10]', '["1"]', '[null]', '[1e39]']).map(configs),
  ]);
});

test('unchunked changes are taken and refused as on the official server', async (t) => {
  const official = await officialSync(t);
  const whole: JsonObject = { models: [], decks: [[], []], tags: [], conf: { schedVer: 2, rollover: 4 }, crt: 1_600_000_000 };
  const changes = (text: string): string => `{"changes":${text}}`;
  const nested = (depth: number): string => `${'['.repeat(depth)}${']'.repeat(depth)}`;
  await assertVerdicts(official, 'applyChanges', schema11.parseUnchunkedChangesRequest, [
    ...variations(whole, ['models', 'tags', 'conf', 'newer'], DOUBLES).map(changes),
    ...variations(whole, ['decks'], ['[]', '[[]]', '[[],[],[]]', '[[],null]', '{}', 'null', '[{},[]]']).map(changes),
    ...variations(whole, ['crt'], ['null', '"1"', '1.5', '-5', '1600000000', '9223372036854775808', '{}']).map(changes),
    '{}', '[]', 'null', '{"changes":null}', '{"changes":[]}', '{"newer":1,"changes":{"models":[],"decks":[[],[]],"tags":[]}}',
    // deeper than any client reads, not Unicode, not a double: must not be stored
    ...variations(whole, ['conf'], [`{"x":${nested(124)}}`, `{"x":${nested(125)}}`]).map(changes),
    ...variations(whole, ['conf'], ['{"x":"\\ud800"}', '{"\\udc00":1}', '{"x":"\\ud83d\\ude00"}', '{"x":-1e999}']).map(changes),
    ...variations(whole, ['tags'], ['["\\ud800"]', '["a","b"]', '["\\u0000"]']).map(changes),
  ]);
});

const REVLOG_ROW = [1, 2, 3, 4, 5, 6, 2500, 8, 1];
const CARD_ROW = [1, 2, 1, 0, 1_600_000_000, 3, 0, 0, 5, 0, 0, 0, 0, 0, 0, 0, 0, ''];
const noteRow = (mid: Json): Json[] => [1, 'guid', mid, 1_600_000_000, 3, '', 'front\x1fback', '', '', 0, ''];

function rowVariations(row: Json[], values = VALUES): string[] {
  const text = (list: Json[]): string => stringifyLossless(list);
  return [
    ...row.flatMap((_column, index) => values.map((value) => text(row.with(index, '@@')).replace('"@@"', () => value))),
    text(row.slice(0, -1)), text(row.slice(0, -2)), text([...row, 0]), '[]', 'null', '1', '"x"',
  ];
}

test('rows are taken and refused as on the official server', { timeout: 180_000 }, async (t) => {
  const official = await officialSync(t);
  await official.start();
  const [notetype] = (await official.state()).models;
  const chunk = (kind: string) => (row: string): string => `{"chunk":{"done":true,"${kind}":[${row}]}}`;
  // a note of another notetype fails for that reason on both sides, only later on ours
  const notes = rowVariations(noteRow(notetype!['id']!)).filter((row) => {
    const parsed = parseLossless(row);
    return !Array.isArray(parsed) || parsed.length !== 11 || ours(schema11.parseChunkRequest, chunk('notes')(row)) === 400 ||
      (parsed[2] === notetype!['id'] && String(parsed[6]).includes('\x1f'));
  });
  await assertVerdicts(official, 'applyChunk', schema11.parseChunkRequest, [
    ...rowVariations(REVLOG_ROW).map(chunk('revlog')),
    ...rowVariations(CARD_ROW).map(chunk('cards')),
    ...notes.map(chunk('notes')),
    '{}', '{"chunk":{}}', '{"chunk":null}', '{"chunk":{"done":null}}', '{"chunk":{"done":1}}', '{"chunk":{"cards":null}}',
    '{"chunk":{"notes":{}}}', '{"chunk":{"newer":1}}',
  ]);
});

test('numbers that came as floats, or too large, are kept as the official server keeps them', async (t) => {
  const official = await officialSync(t);
  const values = [
    '0', '1', '-1', '1.9', '-1.9', '-0.5', '-0', '1e3', '2147483647', '2147483648', '-2147483649', '4294967295', '4294967296',
    '4294967301', '-4294967295', '1e10', '-1e10',
    '1.7e308', '9223372036854775807', '9223372036854775808', '-9223372036854775808', '-9223372036854775809', '18446744073709551615',
    '18446744073709551616', '9007199254740993',
  ];
  const rowWith = (row: Json[], id: number, column: number, value: string): string =>
    stringifyLossless(row.with(0, id).with(column, '@@')).replace('"@@"', () => value);
  const rows = (row: Json[], columns: number[]): string =>
    `[${columns.flatMap((column, at) => values.map((value, index) => rowWith(row, 1000 + at * 100 + index, column, value))).join(',')}]`;
  const { mod, due, ivl, odue } = schema11.CARD;
  const body = `{"chunk":{"revlog":${rows(REVLOG_ROW, [4, 5, 6, 7, 8])},"cards":${rows(CARD_ROW, [mod, due, ivl, odue])}}}`;
  await official.start();
  assert.equal(await official.postText('applyChunk', body), 200);

  const keyOf = (row: readonly unknown[]): string => `${row.length} columns, id ${String(row[0])}`;
  const stored = new Map<string, string>();
  for (let done = false; !done; ) {
    const chunk = parseLossless((await official.post('chunk', {})).text) as unknown as schema11.Chunk;
    for (const row of [...(chunk.revlog ?? []), ...(chunk.cards ?? [])]) stored.set(keyOf(row), stringifyLossless(row as Json));
    done = chunk.done;
  }
  const parsed = schema11.parseChunkRequest(parseLossless(body));
  // the server writes the card's data anew, which is not a matter of its shape
  const cards = parsed.cards.map((card) => card.with(schema11.CARD.data, '{}'));
  for (const row of [...parsed.revlog, ...cards]) assert.equal(textOf(row), stored.get(keyOf(row)));
  assert.equal(stored.size, values.length * 9);
});

test('graves are taken and refused as on the official server', async (t) => {
  const official = await officialSync(t);
  const graves: JsonObject = { cards: [1], notes: [2], decks: [] };
  const lists = ['[]', '[1,2]', '["1"]', '["1",2]', '[1.0]', '["+1"]', '["x"]', '[""]', '["9223372036854775808"]',
  '[9223372036854775807]', '[null]', 'null', '{}', '1'];
  await assertVerdicts(official, 'applyGraves', schema11.parseGravesRequest, [
    ...variations(graves, ['cards', 'notes', 'decks', 'newer'], lists).map((text) => `{"chunk":${text}}`), '{}', '{"chunk":null}',
  ]);
  const start = (text: string): string => `{"minUsn":0,"lnewer":false,"graves":${text}}`;
  await assertVerdicts(official, 'start', schema11.parseStartRequest, [
    ...variations(graves, ['cards', 'notes', 'decks', 'newer'], lists).map(start),
    ...variations({ cards: ['1'], notes: ['2'], decks: [] }, ['cards', 'notes', 'decks'], lists).map(start),
    ...['null', '[]', '{}', '1', '""', 'true'].map(start),
    ...variations({ minUsn: 0, lnewer: true, newer: 1 }, ['minUsn', 'lnewer', 'newer'], DOUBLES),
  ]);
});

test('the other requests are taken and refused as on the official server', async (t) => {
  const official = await officialSync(t);
  await assertVerdicts(official, 'meta', schema11.parseMetaRequest, [
    ...variations({ v: 11, cv: 'x' }, ['cv', 'newer'], DOUBLES),
    ...['{"cv":"x"}', '{"v":"11","cv":"x"}', '{"v":256,"cv":""}', '{"v":11.0,"cv":""}'],
  ]);
  const counts = (text: string): string => `{"client":${text}}`;
  await assertVerdicts(official, 'sanityCheck2', schema11.parseSanityRequest, [
    ...rowVariations([[0, 0, 0], 1, 2, 3, 4, 5, 6, 7]).map(counts),
    ...rowVariations([1, 2, 3]).map((due) => counts(`[${due},1,2,3,4,5,6,7]`)),
    '{}',
  ]);
  await assertVerdicts(official, 'abort', schema11.parseEmptyRequest, ['{}', '{"x":1}', '1', '""', '[1]', '{"":null}']);
});

test('a sign-in has a name and a password, and an error repeats neither', () => {
  assert.deepEqual(schema11.parseHostKeyRequest({ u: 'name', p: 'secret' }), { username: 'name', password: 'secret' });
  const bodies: Json[] = [{ u: 'name' }, { p: 'secret' }, { u: 'name', p: 1 }, { u: null, p: 'secret' }, ['name', 'secret'],
  'secret', null];
  for (const body of bodies) {
    assert.throws(() => schema11.parseHostKeyRequest(body), (error) => error instanceof SchemaError && !/secret|name"/.test(error.message));
  }
});

test('requests of media sync', () => {
  assert.deepEqual(schema11.parseBeginRequest({ v: '26.09' }), { clientVersion: '26.09' });
  assert.deepEqual(schema11.parseBeginRequest({}), { clientVersion: '' });
  assert.deepEqual(schema11.parseMediaChangesRequest({ lastUsn: 5 }), { lastUsn: 5 });
  assert.deepEqual(schema11.parseDownloadFilesRequest({ files: ['a', 'b'] }), { files: ['a', 'b'] });
  assert.deepEqual(schema11.parseMediaSanityRequest({ local: 3 }), { local: 3 });
  assert.throws(() => schema11.parseBeginRequest({ v: 1 }), SchemaError);
  assert.throws(() => schema11.parseMediaChangesRequest({ lastUsn: '5' }), SchemaError);
  assert.throws(() => schema11.parseMediaChangesRequest({}), SchemaError);
  assert.throws(() => schema11.parseDownloadFilesRequest({ files: [1] }), SchemaError);
  assert.throws(() => schema11.parseDownloadFilesRequest({ files: ['\ud800'] }), SchemaError);
  assert.throws(() => schema11.parseMediaSanityRequest({ local: -1 }), SchemaError);
});

test('ids of any size are kept exactly', () => {
  const ids = ['1', '9007199254740993', '-9223372036854775808', '9223372036854775807', '9007199254740992', '1234567890123456700'];
  for (const id of ids) {
    const body = `{"chunk":{"revlog":[[${id},${id},0,1,1,1,1,1,1]]}}`;
    const { revlog: [row] } = schema11.parseChunkRequest(parseLossless(body));
    assert.equal(textOf(row!), `[${id},${id},0,1,1,1,1,1,1]`);
    assert.equal(schema11.parseGraves({ cards: [parseLossless(id)], notes: [], decks: [] }).cards[0]!.toString(), id);
    assert.equal(schema11.parseDeck(parseLossless(stringifyLossless({ ...DECK, id })) as Json).id.toString(), id);
  }
  for (const value of [1.5, 'x', null, '', '1.0', '9223372036854775808', {}, [], true, -0]) {
    assert.throws(() => schema11.idOf(value), SchemaError);
  }
});

test('objects keep every key, and get the form of today for what old clients wrote as text', () => {
  const old = stringifyLossless({ ...DECK, id: '1234567890123456789', mod: '77', name: 'a:: b', usn: 3, newer: { deep: '@' } });
  const deck = parseLossless(old.replace('"@"', '-7290854878769846350'));
  const parsed = schema11.parseDeck(deck);
  assert.deepEqual([parsed.id, parsed.name, parsed.mtimeSecs, parsed.usn], [1234567890123456789n, 'a::b', 77, 3]);
  const text = stringifyLossless(parsed.object);
  assert.ok(text.startsWith('{"id":1234567890123456789,"mod":77,"name":"a::b","usn":3,'));
  assert.ok(text.includes('"newer":{"deep":-7290854878769846350}'));
  const { mod: _mod, ...unstamped } = DECK;
  assert.equal(schema11.parseDeck(unstamped).mtimeSecs, 0);

  const notetype = schema11.parseNotetype({ ...NOTETYPE, sortf: 9 });
  assert.deepEqual([notetype.fieldCount, notetype.templateCount, notetype.sortField, notetype.name], [2, 1, 9, 'Basic']);
  assert.deepEqual(schema11.parseNotetype(NOTETYPE).object, NOTETYPE);
});

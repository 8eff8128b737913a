import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { create, toBinary } from '@bufbuild/protobuf';
import { parseLossless, stringifyLossless } from '../../lib/schema/json.ts';
import type { Json } from '../../lib/schema/json.ts';
import {
  DeckCommonSchema,
  DeckConfigSchema,
  DeckKindSchema,
  FieldConfigSchema,
  NotetypeConfigSchema,
  TemplateConfigSchema,
} from '../../lib/schema/proto/schema18_pb.ts';
import {
  collectLosses,
  configToSchema11,
  deckConfigsToSchema11,
  decksToSchema11,
  notetypesToSchema11,
  Schema18Error,
  tagsToSchema11,
} from '../../lib/schema/schema18.ts';

const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text);
const stamps = { mtimeSecs: 1_700_000_000n, usn: -1 };

type Init<Desc extends Parameters<typeof create>[0]> = Parameters<typeof create<Desc>>[1];

type Object18 = Record<string, Json>;

function deck(kind: Init<typeof DeckKindSchema>, common: Init<typeof DeckCommonSchema> = {}, losses = collectLosses()): Object18 {
  const row = {
    id: 1n, name: 'a\x1fb', ...stamps,
    common: toBinary(DeckCommonSchema, create(DeckCommonSchema, common)),
    kind: toBinary(DeckKindSchema, create(DeckKindSchema, kind)),
  };
  return decksToSchema11([row], losses)['1'] as Record<string, Json>;
}

function preset(config: Init<typeof DeckConfigSchema>, losses = collectLosses()): Record<string, Json> {
  const row = { id: 1n, name: 'p', ...stamps, config: toBinary(DeckConfigSchema, create(DeckConfigSchema, config)) };
  return deckConfigsToSchema11([row], 18, losses)['1'] as Record<string, Json>;
}

const normal = (value: object) => ({ kind: { case: 'normal' as const, value } });

describe('numbers', () => {
  test('a 32-bit float has its shortest decimal, and a whole one its .0', () => {
    const values = [0.9, 1, 0.1, 1.3, 16777216, 3.4028234663852886e38, 1e-7, 0.8123, -2.5];
    const text = stringifyLossless(preset({ fsrsParams6: values }).fsrsParams6!);
    assert.equal(text, '[0.9,1.0,0.1,1.3,16777216.0,3.4028235e+38,1e-7,0.8123,-2.5]');
  });

  test('64-bit ids are exact', () => {
    const fieldConfig = toBinary(FieldConfigSchema, create(FieldConfigSchema, { id: -7290854878769846350n }));
    const config = toBinary(NotetypeConfigSchema, create(NotetypeConfigSchema, { originalId: 9007199254740993n }));
    const field = { ntid: 1n, ord: 0, name: 'f', config: fieldConfig };
    const notetype = { id: 1n, name: 'n', ...stamps, config };
    const text = stringifyLossless(notetypesToSchema11([notetype], [field], [], collectLosses()));
    assert.match(text, /"id":-7290854878769846350,/);
    assert.match(text, /"originalId":9007199254740993}/);
  });

  test('desired retention of a deck is cut to whole percents, and that is a loss', () => {
    const losses = collectLosses();
    assert.equal(deck(normal({ desiredRetention: 0.58 }), {}, losses).desiredRetention, 58);
    assert.deepEqual(losses.list(), []);
    assert.equal(deck(normal({ desiredRetention: 0.805 }), {}, losses).desiredRetention, 80);
    assert.deepEqual(losses.list(), ['deck: fraction of a percent of desired retention (deck 1)']);
  });

  test('a starting ease of 131 % stays, and 130 % becomes the default, as Anki reads it', () => {
    const ease = (initialEase: number) => (preset({ initialEase }).new as Record<string, Json>).initialFactor;
    assert.deepEqual([1.31, 1.3, 2.5, 5, 5.1, NaN, 0].map(ease), [1310, 2500, 2500, 5000, 2500, 2500, 2500]);
  });
});

describe('keys that Anki does not know', () => {
  test('survive with their numbers as written, also __proto__', () => {
    const other = '{"__proto__":{"a":18446744073709551615},"b":1.0,"c":[1e3],"7":null}';
    const text = stringifyLossless(deck(normal({}), { other: utf8(other) }));
    for (const part of ['"__proto__":{"a":18446744073709551615}', '"b":1.0', '"c":[1e3]', '"7":null']) assert.ok(text.includes(part), part);
  });

  test('never take the place of a known key', () => {
    const other = utf8('{"name":"x","terms":[],"conf":9,"resched":"no","md":false,"desc":"x"}');
    const searchTerms = [{ search: 's', limit: 3, order: 1 }];
    const filtered = deck({ kind: { case: 'filtered', value: { reschedule: true, searchTerms } } }, { other });
    assert.deepEqual([filtered.name, filtered.terms, filtered.conf, filtered.resched], ['a::b', [['s', 3, 1]], undefined, true]);
    assert.equal(deck(normal({ markdownDescription: true, description: 'd' }), { other }).md, true);
  });

  test('an older client\'s markdown flag is among them, and passes', () => {
    assert.equal(deck(normal({}), { other: utf8('{"md":true}') }).md, true);
    assert.ok(!('md' in deck(normal({}))));
  });

  test('of a preset are split up again', () => {
    const result = preset({ other: utf8('{"x":1,"new":{"y":2,"perDay":7},"rev":{"z":3},"lapse":{"w":4,"mult":9}}'), newPerDay: 5 });
    const part = (name: string) => result[name] as Record<string, Json>;
    assert.deepEqual([result.x, part('new').y, part('new').perDay, part('rev').z, part('lapse').w], [1, 2, 5, 3, 4]);
    assert.equal(stringifyLossless(part('lapse').mult!), '0.0');
  });

  const nested = `{"a":${'['.repeat(200)}${']'.repeat(200)}}`;
  for (const unreadable of ['[1]', 'no json', '{"a":"\\ud800"}', '{"a":1e999}', nested, '\ufeff{}', '7']) {
    test(`which no Anki can read are dropped with a report: ${unreadable.slice(0, 20)}`, () => {
      const losses = collectLosses();
      const result = deck(normal({}), { other: utf8(unreadable) }, losses);
      assert.deepEqual(Object.keys(result).sort(), Object.keys(deck(normal({}))).sort());
      assert.deepEqual(losses.list(), ['deck: unknown keys are unreadable (deck 1)']);
    });
  }
});

describe('text', () => {
  test('a byte-order mark and NUL are text like any other', () => {
    const css = '\ufeff.card\0{}';
    const config = toBinary(NotetypeConfigSchema, create(NotetypeConfigSchema, { css }));
    const result = notetypesToSchema11([{ id: 1n, name: '\ufeffn', ...stamps, config }], [], [], collectLosses())['1'] as Record<string, Json>;
    assert.deepEqual([result.css, result.name], [css, '\ufeffn']);
  });

  test('config values stay as they were written', () => {
    const rows = [{ key: 'a"b', value: utf8('[1.0, 12345678901234567890 ]') }, { key: '__proto__', value: utf8('{"x":1,"x":2}') }];
    const text = configToSchema11(rows, collectLosses());
    assert.equal(text, '{"a\\"b":[1.0, 12345678901234567890 ],"__proto__":{"x":1,"x":2}}');
    assert.doesNotThrow(() => parseLossless(text));
  });

  test('a config value that is no JSON is left out and reported, and cannot break out of the map', () => {
    const losses = collectLosses();
    const rows = [{ key: 'a', value: utf8('1,"b":2') }, { key: 'kept', value: utf8('3') }, { key: 'bytes', value: Uint8Array.of(0xff) }];
    assert.equal(configToSchema11(rows, losses), '{"kept":3}');
    assert.deepEqual(losses.list(), ['config: values that are no JSON (a, bytes)']);
  });
});

describe('protobuf', () => {
  const row = (config: number[]) => [{ id: 1n, name: 'p', ...stamps, config: Uint8Array.from(config) }];
  const convert = (config: number[], losses = collectLosses()) => deckConfigsToSchema11(row(config), 18, losses)['1'] as Record<string, Json>;

  test('lists are read packed and unpacked', () => {
    const one = [0x00, 0x00, 0x80, 0x3f];
    const result = convert([0x1d, ...one, 0x1a, 0x08, ...one, ...one]);
    assert.equal(stringifyLossless(result.fsrsWeights!), '[1.0,1.0,1.0]');
  });

  test('an unknown field is named, in whatever form it comes', () => {
    const losses = collectLosses();
    convert([0xc0, 0x0c, 0x01, 0xca, 0x0c, 0x01, 0x00, 0xd3, 0x0c, 0x08, 0x01, 0xd4, 0x0c], losses);
    assert.deepEqual(losses.list(), [200, 201, 202].map((no) => `deck config: protobuf field ${no} is newer than this server (deck config 1)`));
  });

  for (const [damage, bytes] of Object.entries({
    // of these, the bytes also make sense when the wire type is overlooked
    'a float where an integer belongs': [0x4d, 0x01, 0x48, 0x81, 0x00],
    'an integer where a float belongs': [0x58, 0x80, 0x80, 0x80, 0x00],
    'an integer where text belongs': [0xe8, 0x02, 0x00],
    'text where an integer belongs': [0x4a, 0x02, 0x48, 0x05],
    'a list that ends inside a float': [0x0a, 5, 0, 0, 0x80, 0x3f, 0],
    'a length beyond the end': [0xfa, 0x0f, 0x7f, 0x7b],
    'field number 0': [0x00, 0x01],
    'a group that does not end': [0xd3, 0x0c, 0x08, 0x01],
    'an endless number': [0x48, ...Array<number>(11).fill(0xff)],
  })) {
    test(`${damage} is refused`, () => {
      assert.throws(() => convert(bytes), Schema18Error);
    });
  }

  test('a damaged part inside of a message is refused', () => {
    for (const config of [[0x42, 0x02, 0x0d, 0x00], [0x40, 0x00], [0x42, 0x05, 0x0d, 0x01, 0x08, 0x81, 0x00]]) {
      const notetype = { id: 1n, name: 'n', ...stamps, config: Uint8Array.from(config) };
      assert.throws(() => notetypesToSchema11([notetype], [], [], collectLosses()), /notetype 1 is damaged/);
    }
  });
});

describe('duplicates', () => {
  const config = toBinary(TemplateConfigSchema, create(TemplateConfigSchema, {}));
  const notetype = { id: 1n, name: 'n', ...stamps, config: new Uint8Array() };
  for (const [what, call] of Object.entries({
    'notetype ids': () => notetypesToSchema11([notetype, { ...notetype, name: 'm' }], [], [], collectLosses()),
    'notetype names': () => notetypesToSchema11([notetype, { ...notetype, id: 2n }], [], [], collectLosses()),
    'field positions': () =>
      notetypesToSchema11([notetype], [{ ntid: 1n, ord: 0, name: 'a', config }, { ntid: 1n, ord: 0, name: 'b', config }], [], collectLosses()),
    'template names': () =>
      notetypesToSchema11([notetype], [], [{ ntid: 1n, ord: 0, name: 'a', config }, { ntid: 1n, ord: 1, name: 'a', config }], collectLosses()),
    tags: () => tagsToSchema11(Array(2).fill({ name: 'a', usn: 0, expanded: false, hasConfig: false }), collectLosses()),
    'config keys': () => configToSchema11(Array(2).fill({ key: 'a', value: utf8('1') }), collectLosses()),
  })) {
    test(`of ${what} are refused`, () => assert.throws(call, Schema18Error));
  }
});

test('losses name three objects and count the rest, and their kinds are bounded', () => {
  const losses = collectLosses();
  for (let n = 0; n < 5; n++) losses.add('a', `deck ${n}`);
  for (let n = 0; n < 200; n++) losses.add(`kind ${n}`, 'deck 1');
  const list = losses.list();
  assert.equal(list[0], 'a (deck 0, deck 1, deck 2 and 2 more)');
  assert.equal(list.length, 101);
  assert.equal(list.at(-1), 'and 101 losses of other kinds');
});

/** What may be wrong with JSON: with the value, and with the text. */
import { raw, stageMutations, type Draft, type Mutation } from './draft.ts';
import type { Random } from './random.ts';

type Box = Record<string | number, unknown>;

/** Where a value stands: so that it may be replaced. */
interface Spot {
  box: Box;
  key: string | number;
}

const RAW_TEXTS: (() => string)[] = [
  () => '1e400', () => '-1e999', () => '12345678901234567890123', () => '9223372036854775808', () => '-9223372036854775809', () => '-0',
  () => '1.0', () => '1E2', () => '2e-1', () => '1'.repeat(20_000), () => `0.${'3'.repeat(5000)}`, () => `1e${'9'.repeat(300)}`,
  () => '["a"'.replace('"a"', '['.repeat(4000) + ']'.repeat(4000)) + ']', () => `${'{"a":'.repeat(2000)}1${'}'.repeat(2000)}`,
  () => '"\\ud800"', () => '"\\udc00\\ud800"', () => '"\\u0000"', () => '{"a":1,"a":2}', () => '{"__proto__":{"x":1},"constructor":1}',
  () => 'NaN', () => '-Infinity', () => '01', () => '+1', () => '.5', () => '1.', () => 'tru', () => "'x'", () => 'undefined', () => '0x10',
];

const ODD: (() => unknown)[] = [
  () => null, () => true, () => false, () => 0, () => -1, () => 1.5, () => 1e300, () => 2 ** 53, () => -(2 ** 31) - 1, () => 2 ** 31, () => 2 ** 63,
  () => 255, () => 256, () => 65_536, () => '', () => 'ж', () => '\u0000', () => '../x', () => '\ud800', () => 'A\u0308', () => '\u202e\ufeff',
  () => '1', () => '-1', () => 'true', () => [], () => ({}), () => [[]], () => [null], () => [[[[1]]]], () => ({ id: 'x' }), () => [1, 2, 3],
  () => 'x'.repeat(70_000), () => '\u001f'.repeat(20), () => '<b>'.repeat(300), () => '&#x0;&#999999999;', () => Array(300).fill(1), () => 'a::'.repeat(50),
];

const NAMES = ['v', 'cv', 'minUsn', 'lnewer', 'graves', 'chunk', 'changes', 'client', 'files', 'u', 'p', 'local', 'lastUsn', 'id', 'mod', 'usn',
  'cards', 'notes', 'revlog', 'decks', 'models', 'tags', 'conf', 'crt', 'done', '_pad', '__proto__', 'toString', '', 'x'.repeat(3000), 'ж', 'flds', 'tmpls'];

export const JSON_MUTATIONS: Mutation[] = stageMutations('json', {
  'another value': (draft, random) => replace(draft, random, () => random.one(ODD)()),
  'a value that JSON.stringify does not write': (draft, random) => replace(draft, random, () => raw(draft, random.one(RAW_TEXTS)())),
  'a key less': (draft, random) => {
    const { box, key } = random.one(spots(draft, (spot) => !Array.isArray(spot.box)));
    if (Array.isArray(draft.value) || box !== (undefined as unknown)) delete box[key];
  },
  'a key more': (draft, random) => {
    const box = random.one(objects(draft));
    if (box !== undefined) Object.defineProperty(box, random.one(NAMES), { value: random.one(ODD)(), enumerable: true, configurable: true, writable: true });
  },
  'a list element less': (draft, random) => {
    const list = random.one(lists(draft));
    if (list !== undefined && list.length > 0) list.splice(random.below(list.length), 1);
  },
  'list elements more': (draft, random) => {
    const list = random.one(lists(draft));
    const last = list?.at(-1) ?? random.one(ODD)();
    for (let i = random.one([1, 1, 2, 30, 600]); i > 0; i--) list?.push(structuredClone(last));
  },
  'two values change places': (draft, random) => {
    const all = spots(draft);
    const [a, b] = [random.one(all), random.one(all)];
    const [before, other] = [structuredClone(a.box[a.key]), structuredClone(b.box[b.key])];
    a.box[a.key] = other;
    b.box[b.key] = before;
  },
  'wrapped': (draft, random) => replace(draft, random, (old) => (random.chance(50) ? [old] : { a: old })),
  'a number beside': (draft, random) => replace(draft, random, (old) => (typeof old === 'number' ? old + random.one([1, -1, 0.5, 1e10, -1e10, 2 ** 40]) : random.below(5))),
  'a number as text': (draft, random) => replace(draft, random, (old) => (typeof old === 'number' ? String(old) : old)),
  'text that is longer': (draft, random) =>
    replace(draft, random, (old) => (typeof old === 'string' ? old + random.one(['\u0000', '\ud83d', 'ж'.repeat(4000), '\u001f', '"\\', '\r\n', 'e\u0301', '::']) : old)),
  'several values': (draft, random) => {
    for (let i = 0; i < 8; i++) replace(draft, random, () => random.one(ODD)());
  },
});

const FIXED_TEXTS = ['', ' ', '{', '}', '[', 'null', 'true', '0', '"x"', '[]', '{}', '{}{}', '{"":""}', '\u0000', '{"a":1}\u0000', '{"chunk":', '//x\n{}', '{"_pad":null,"x":1}'];

export const TEXT_MUTATIONS: Mutation[] = [
  ...stageMutations('text', {
    'another text': (draft, random) => set(draft, random.one(FIXED_TEXTS)),
    'a key twice': (draft, random) => {
      const text = draft.plain.toString();
      const pairs = [...text.matchAll(/"(\w+)":/g)];
      const pair = pairs.length > 0 ? random.one(pairs) : undefined;
      if (pair !== undefined) set(draft, `${text.slice(0, pair.index)}"${pair[1]}":${random.one(['null', '1', '"x"', '[]', '{}'])},${text.slice(pair.index)}`);
    },
    'a letter changed': (draft, random) => {
      if (draft.plain.length > 0) draft.plain[random.below(draft.plain.length)] = random.one([0, 9, 34, 44, 58, 91, 92, 93, 123, 125, 48 + random.below(10), random.below(256)]);
    },
    'space around': (draft) => set(draft, ` \t\r\n${draft.plain.toString()}${' '.repeat(3000)}`),
    'escapes in place of letters': (draft) => set(draft, draft.plain.toString().replaceAll(/(?<=")([a-z])/g, (letter) => `\\u00${letter.charCodeAt(0).toString(16)}`)),
  }),
  ...stageMutations('text', {
    'a byte order mark': (draft) => set(draft, `\ufeff${draft.plain.toString()}`),
    'bytes that are no UTF-8': (draft, random) => {
      const at = random.below(draft.plain.length + 1);
      const wrong = Buffer.from(random.one(['ff', 'c0af', 'eda080', 'f4908080', 'e282', '80', 'f8888080']), 'hex');
      draft.plain = Buffer.concat([draft.plain.subarray(0, at), wrong, draft.plain.subarray(at)]);
    },
    'UTF-16': (draft) => (draft.plain = Buffer.from(draft.plain.toString(), 'utf16le')),
    'cut': (draft, random) => (draft.plain = draft.plain.subarray(0, 1 + random.below(Math.max(1, draft.plain.length - 1)))),
    'something behind it': (draft, random) => set(draft, draft.plain.toString() + random.one(['{}', ',', 'x', '\u0000', ']', '}'])),
    'a comma too much': (draft) => set(draft, draft.plain.toString().replace(/[\]}]$/, ',$&')),
    'nested too deep': (draft, random) => set(draft, random.one(['[', '{"a":', '[{"chunk":']).repeat(random.one([2000, 15_000]))),
    'a comment': (draft) => set(draft, `${draft.plain.toString()}/**/`),
  }, { refused: true }),
];

function set(draft: Draft, text: string): void {
  draft.plain = Buffer.from(text);
}

function replace(draft: Draft, random: Random, make: (old: unknown) => unknown): void {
  const { box, key } = random.one(spots(draft));
  box[key] = make(box[key]);
}

/** Every place in the value, the whole one included; never none. */
function spots(draft: Draft, wanted: (spot: Spot) => boolean = () => true): Spot[] {
  const whole: Spot = { box: draft as unknown as Box, key: 'value' };
  const found: Spot[] = [];
  const walk = (spot: Spot, depth: number): void => {
    if (spot !== whole && wanted(spot)) found.push(spot);
    const value = spot.box[spot.key];
    if (typeof value !== 'object' || value === null || depth > 8) return;
    // large objects would leave little chance to what is around them
    const keys = Array.isArray(value) ? [...value.keys()].slice(0, 30) : Object.keys(value);
    for (const key of keys) walk({ box: value as Box, key }, depth + 1);
  };
  walk(whole, 0);
  return found.length > 0 ? found : [whole];
}

function objects(draft: Draft): (Box | undefined)[] {
  const all = [{ box: draft as unknown as Box, key: 'value' }, ...spots(draft)].map(({ box, key }) => box[key]);
  return orNothing(all.filter((value) => typeof value === 'object' && value !== null && !Array.isArray(value)) as Box[]);
}

function lists(draft: Draft): (unknown[] | undefined)[] {
  return orNothing(spots(draft).map(({ box, key }) => box[key]).filter(Array.isArray) as unknown[][]);
}

function orNothing<T>(list: T[]): (T | undefined)[] {
  return list.length > 0 ? list : [undefined];
}

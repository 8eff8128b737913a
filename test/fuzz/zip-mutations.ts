/** What may be wrong with the zip of `uploadChanges`, and with an uploaded collection. */
import { entry, type RawEntry } from '../media/raw-zip.ts';
import { stageMutations, type Draft, type Mutation, type ZipPlan } from './draft.ts';
import type { Random } from './random.ts';

const NAMES = ['.', '..', '', 'x/y', '../../x', '/etc/passwd', 'a\0b', 'A\u0308.png', '\ud800', '漢'.repeat(86), 'con.png', ' ', 'a\\b', '.anki-sync-media', '_meta',
  'media.db', 'a\r\nb', '\u202egnp.a', 'collection.anki2', '__proto__', 'x'.repeat(255), 'x'.repeat(256), '-rf', '%2e%2e', 'a'.repeat(40_000)];
const METAS = ['', '[]', '{}', 'null', '[[]]', '[["a.png"]]', '[["a.png",null,1]]', '[[1,null]]', '[["a.png",0]]', '[["a.png","nowhere"]]', '[["a.png",""]]',
  '[["a.png",null]', '[] []', '\ufeff[]', '[["a.png","_meta"]]', `[${Array(26).fill('["a.png",null]').join()}]`, `[["a.png",null]${' '.repeat(51_200)}]`, '['.repeat(9000)];

type WithPlan = (plan: ZipPlan, random: Random) => void;

const planned = (list: Record<string, WithPlan>, more: Partial<Mutation> = {}): Mutation[] =>
  stageMutations('zip', Object.fromEntries(Object.entries(list).map(([name, change]): [string, Mutation['change']] =>
    [name, (draft, random) => change(draft.zip!, random)])), more);

/** An entry that `_meta` names, so that it is read. */
function used(plan: ZipPlan, random: Random, more: Partial<RawEntry>): void {
  const content = more.content ?? random.bytes(1 + random.below(200));
  plan.meta = JSON.stringify([[`used${random.below(30)}.png`, 'used']]);
  plan.entries.push({ ...entry('used', content), ...more });
}

export const ZIP_MUTATIONS: Mutation[] = [
  ...planned({
    'odd names': (plan, random) => {
      const names = Array.from({ length: 1 + random.below(3) }, () => random.one(NAMES));
      plan.meta = JSON.stringify(names.map((name, i) => [name, random.chance(30) ? null : String(i)]));
      plan.entries = names.map((_name, i) => entry(String(i), `content ${i}`));
    },
    'odd names of entries': (plan, random) => {
      const name = random.one(NAMES.filter((name) => name.length < 60_000));
      plan.meta = JSON.stringify([['fine.png', name]]);
      plan.entries = [entry(name, 'x')];
    },
    'another _meta': (plan, random) => (plan.meta = random.one(METAS)),
    '_meta with a value changed': (plan, random) => {
      const text = String(plan.meta);
      plan.meta = text.replace(/"(\w*)"/, random.one(['1', 'null', '[]', '""', '"\\ud800"', '"$1","$1"', '{"a":1}']));
    },
    'an entry twice': (plan, random) => plan.entries.push(...plan.entries.map((one) => ({ ...one, content: random.bytes(9) }))),
    '_meta twice': (plan, random) => plan.entries.push(entry('_meta', random.one(METAS))),
    'a flag of an entry': (plan, random) => used(plan, random, { flags: 1 << random.below(16) }),
    'sizes behind the data': (plan, random) => used(plan, random, { dataDescriptor: true, deflate: random.chance(50) }),
    'a wrong number of entries': (plan, random) => (plan.options.claimedEntries = random.one([0, 1, 2, 30, 1001, 65_535])),
    'many entries': (plan, random) => {
      for (let i = random.one([30, 1200]); i > 0; i--) plan.entries.push(entry(`e${i}`, ''));
    },
    'a comment': (plan, random) => (plan.options.comment = random.one([Buffer.alloc(60_000, 'x'), Buffer.from('PK\x05\x06'.padEnd(40, '\0'), 'latin1'), Buffer.from([255])])),
    'a name that is no UTF-8': (plan, random) => used(plan, random, { name: random.bytes(5), flags: random.one([0, 0x800]) }),
    'a file that packs well': (plan, random) => used(plan, random, { content: Buffer.alloc(random.one([100_000, 3_000_000])), deflate: true }),
  }),
  ...planned({
    'a wrong checksum': (plan, random) => used(plan, random, { claimedCrc32: random.next() }),
    'a size that lies': (plan, random) => used(plan, random, { content: random.bytes(50), claimedBytes: random.one([0, 1, 49, 51, 5000, 2 ** 31, 2 ** 32 - 1]), deflate: random.chance(50) }),
    'a method that nobody knows': (plan, random) => used(plan, random, { method: random.one([1, 2, 6, 9, 12, 14, 93, 95, 99, 65_535]) }),
    'an encrypted entry': (plan, random) => used(plan, random, { flags: random.one([0x801, 0x841]) }),
    'deflated data that are not': (plan, random) => used(plan, random, { method: 8 }),
    'an empty file': (plan, random) => used(plan, random, { content: Buffer.alloc(0) }),
    'a bomb that says so': (plan, random) => used(plan, random, { content: Buffer.alloc(2000), claimedBytes: 101 * 1024 * 1024, deflate: true }),
    'no _meta': (plan) => (plan.meta = null),
    'a good name beside a wrong one': (plan, random) => {
      plan.meta = JSON.stringify([[`good${random.next()}.png`, '0'], [random.one(['..', 'a/b', '', 'a\0']), '1']]);
      plan.entries = [entry('0', random.bytes(20)), entry('1', 'x')];
    },
    'a good file beside a damaged one': (plan, random) => {
      plan.meta = JSON.stringify([[`good${random.next()}.png`, '0'], ['other.png', '1']]);
      plan.entries = [entry('0', random.bytes(20)), entry('1', 'x', { claimedCrc32: 5 })];
    },
  }, { refused: true }),
];

/** Of a zip or a collection, once it is bytes. */
export const FILE_MUTATIONS: Mutation[] = [
  ...stageMutations('file', {
    'bytes changed': (draft, random) => flip(draft, random, 1 + random.below(12)),
    'many bytes changed': (draft, random) => flip(draft, random, 400),
    'a byte of the first hundred changed': (draft, random) => set(draft, random.below(100), random),
    'a byte of the last hundred changed': (draft, random) => set(draft, draft.plain.length - 1 - random.below(100), random),
    'all ones somewhere': (draft, random) => void draft.plain.fill(255, random.below(draft.plain.length + 1), random.below(draft.plain.length + 1)),
    'something behind it': (draft, random) => (draft.plain = Buffer.concat([draft.plain, random.bytes(1 + random.below(5000))])),
    'something before it': (draft, random) => (draft.plain = Buffer.concat([random.bytes(1 + random.below(50)), draft.plain])),
    'a part of it moved': (draft, random) => {
      const from = random.below(draft.plain.length + 1);
      draft.plain.copyWithin(random.below(draft.plain.length + 1), from, from + 4096);
    },
  }),
  ...stageMutations('file', {
    'nothing': (draft) => (draft.plain = Buffer.alloc(0)),
    'noise': (draft, random) => (draft.plain = random.bytes(1 + random.below(3000))),
    'cut': (draft, random) => (draft.plain = draft.plain.subarray(0, random.below(Math.max(1, draft.plain.length)))),
    'its first bytes alone': (draft) => (draft.plain = draft.plain.subarray(0, 100)),
  }, { refused: true }),
  ...stageMutations('file', {
    'words of the schema changed': (draft, random) => {
      const [from, to] = random.one([['CREATE TABLE cards', 'CREATE VIEW  cards'], ['integer NOT NULL', 'blob    NOT NULL'], ['PRIMARY KEY', 'NOT   NULL '],
        ['"schedVer"', '"scheVVer"'], ['CREATE INDEX', 'CREATE TABLE'], ['"name"', '"nAme"'], ['"id":', '"id";'], ['revlog', 'revlug'], ['{"', '["'], ['true', 'nul ']] as const);
      const text = draft.plain.toString('latin1');
      draft.plain = Buffer.from(random.chance(50) ? text.replace(from, to) : text.replaceAll(from, to), 'latin1');
    },
    'another schema version': (draft, random) => {
      // `ver` of the one row of `col` follows its other integers; most changes there hit something of that row
      const row = draft.plain.indexOf('{"');
      if (row > 40) draft.plain[row - 1 - random.below(30)] = random.one([0, 8, 11, 18, 19, 127, 255]);
    },
  }, { only: (method) => method === 'upload' }),
];

function flip(draft: Draft, random: Random, count: number): void {
  for (let i = 0; i < count; i++) set(draft, random.below(draft.plain.length + 1), random);
}

/** Past its bounds, nothing happens. */
function set(draft: Draft, at: number, random: Random): void {
  if (at >= 0 && at < draft.plain.length) draft.plain[at] = random.below(256);
}

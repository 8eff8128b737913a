/** What may be wrong with the `anki-sync` header, or with the form of old clients. */
import type { FormPart } from '../protocol/forms.ts';
import { stageMutations, type Draft, type Mutation } from './draft.ts';
import type { Random } from './random.ts';

const ODD_KEYS = ['', 'wrong', '1.a.b', `1.${'a'.repeat(16)}.${'A'.repeat(43)}`, 'k'.repeat(5000), '\u0000', 'ж', '0'.repeat(40), "' OR 1=1 --", '../x', '\ud800'];

export const HEADER_MUTATIONS: Mutation[] = [
  ...stageMutations('header', {
    'another client': (draft, random) => (draft.keys.c = random.one(['', 'x'.repeat(5000), '\u0001', '\u202e', '"\\', 'anki,26.09.3 (x),lin:12', '\r\nx: y'])),
    'a key more': (draft) => (draft.syncHeader = (keys) => JSON.stringify({ ...keys, x: 1, __proto: [] })),
    'keys in another order': (draft) => (draft.syncHeader = (keys) => JSON.stringify(Object.fromEntries(Object.entries(keys).reverse()))),
    'space in it': (draft) => (draft.syncHeader = (keys) => ` ${JSON.stringify(keys, null, '\t').replaceAll('\n', ' ')} `),
    'an older version': (draft, random) => (draft.keys.v = random.one([8, 9, 10])),
  }),
  ...stageMutations('header', {
    'another session key': (draft, random) => (draft.keys.s = random.one(['', 'other', 'x'.repeat(3000), 'ж', '\u0000', draft.foreign.sessionKey, String(draft.keys.s).toUpperCase()])),
  }),
  ...stageMutations('header', {
    'a value of another type': (draft, random) =>
      (draft.keys[random.one(['v', 'k', 'c', 's'] as const)] = random.one<unknown>([null, true, [], {}, [1], { a: 1 }, 1.5])),
    'a version that nobody speaks': (draft, random) => (draft.keys.v = random.one<unknown>([0, 1, 7, 12, 99, -1, 2 ** 53, 1e300, '11', '', 10.5, null])),
    'a key less': (draft, random) => {
      const less = random.one(['v', 'k', 'c', 's'] as const);
      draft.syncHeader = (keys) => JSON.stringify({ ...keys, [less]: undefined });
    },
    'no JSON': (draft, random) => {
      const text = random.one(['', '{', '[]', 'null', '"x"', '{"v":11', '1', '{}', 'v=11', '%7B%7D', '[11,"","",""]', '['.repeat(3000), 'cut']);
      draft.syncHeader = (keys) => (text === 'cut' ? JSON.stringify(keys).slice(0, -3) : text);
    },
    'half a surrogate pair': (draft) => (draft.syncHeader = (keys) => JSON.stringify({ ...keys, c: '#' }).replace('#', '\\ud800')),
  }, { outside: true, refused: true }),
  ...stageMutations('header', {
    'none': (draft) => (draft.syncHeader = () => null),
    'bytes that are not ASCII': (draft) => (draft.syncHeader = (keys) => JSON.stringify({ ...keys, c: 'é' })),
  }, { outside: true, refused: true }),
  ...stageMutations('header', {
    'a wrong host key': (draft, random) => (draft.keys.k = random.one([...ODD_KEYS, String(draft.keys.k).slice(0, -1), `${String(draft.keys.k)}x`, String(draft.keys.k).toUpperCase()])),
  }, { outside: true, refused: true, only: (method) => method !== 'hostKey' }),
  ...stageMutations('header', {
    'the host key of another user': (draft) => (draft.keys.k = draft.foreign.key),
  }, { outside: true }),
];

const ODD_PART_HEADERS = ['Content-Type: text/plain', 'Content-Transfer-Encoding: base64', `X-Odd: ${'x'.repeat(3000)}`, 'content-disposition: form-data; name="k"', ': x', 'Content-Disposition'];

export const FORM_MUTATIONS: Mutation[] = [
  ...stageMutations('form', {
    'another order': (draft, random) => (draft.parts = random.shuffled(draft.parts)),
    'parts that nobody knows': (draft, random) => {
      for (let i = random.one([1, 3]); i > 0; i--) draft.parts.splice(random.below(draft.parts.length + 1), 0, { name: random.one(['x', '', 'K', '__proto__', 'hostKey', 'sid']), value: 'x' });
    },
    'fields as files': (draft) => (draft.parts = draft.parts.map((part) => ({ ...part, file: true }))),
    'data that is no file': (draft) => (draft.parts = draft.parts.map((part) => ({ ...part, file: false }))),
    'no data': (draft) => (draft.parts = draft.parts.filter(({ name }) => name !== 'data')),
    'no c': (draft) => (draft.parts = draft.parts.filter(({ name }) => name !== 'c')),
    'another boundary': (draft, random) => {
      draft.boundary = random.one(['-', '--', 'a', "'()+_,-./:=?", 'x'.repeat(70), 'a b', '0']);
      draft.contentType = `multipart/form-data; boundary="${draft.boundary}"`;
    },
    'another content type': (draft, random) =>
      (draft.contentType = random.one([`Multipart/Form-Data;boundary=${draft.boundary};x=y`, `multipart/form-data; charset=utf-8; boundary="${draft.boundary}"`])),
    'something behind its end': (draft, random) => late(draft, (body) => Buffer.concat([body, random.bytes(random.one([1, 900]))])),
    'the boundary in the data': (draft) => (draft.parts = draft.parts.map((part) => (part.name === 'data' ? { ...part, value: Buffer.concat([Buffer.from(part.value), Buffer.from(`--${draft.boundary}`)]) } : part))),
    'odd headers of a part': (draft, random) => late(draft, (body) => replaced(body, '\r\n\r\n', `\r\n${random.one(ODD_PART_HEADERS)}\r\n\r\n`)),
    'sk in place of k, or the other way': (draft) => rename(draft, 'k', draft.parts.some(({ name }) => name === 'k') ? 'sk' : 'k'),
    'another session key': (draft, random) => (draft.parts = draft.parts.map((part) => (part.name === 's' ? { ...part, value: random.one(['', 'other', 'x'.repeat(3000), draft.foreign.sessionKey]) } : part))),
    'no session key': (draft) => (draft.parts = draft.parts.filter(({ name }) => name !== 's')),
    'without its end': (draft) => late(draft, (body) => body.subarray(0, body.lastIndexOf(`\r\n--${draft.boundary}--`) + 2)),
  }),
  ...stageMutations('form', {
    'cut': (draft, random) => late(draft, (body) => body.subarray(0, random.below(Math.max(1, body.lastIndexOf(`\r\n--${draft.boundary}--`))))),
    'nothing': (draft) => late(draft, () => Buffer.alloc(0)),
    'a part twice': (draft, random) => {
      const known = draft.parts.filter(({ name }) => ['c', 'k', 'sk', 's', 'data'].includes(name));
      if (known.length > 0) draft.parts.splice(random.below(draft.parts.length + 1), 0, random.one(known));
    },
    'the key under both names': (draft) => {
      const other = draft.parts.some(({ name }) => name === 'k') ? 'sk' : 'k';
      draft.parts.push({ name: 'k', value: 'x' }, { name: other, value: 'x' });
    },
    'twenty parts more': (draft) => draft.parts.unshift(...Array.from({ length: 20 }, (_, i) => ({ name: `x${i}`, value: 'x' }))),
    'a field that is too long': (draft) => draft.parts.unshift({ name: 'x', value: 'x'.repeat(5000) }),
    'huge headers of a part': (draft) => late(draft, (body) => replaced(body, '\r\n\r\n', `\r\nX: ${'x'.repeat(20_000)}\r\n\r\n`)),
    'a field that is no UTF-8': (draft) => draft.parts.unshift({ name: 'x', value: Buffer.from([0xff, 0xc0]) }),
    'a boundary that is not there': (draft) => (draft.contentType = 'multipart/form-data; boundary=elsewhere'),
    'no boundary': (draft, random) => (draft.contentType = random.one(['multipart/form-data', 'multipart/form-data; boundary=', 'multipart/form-data; boundary=""', `multipart/form-data; boundary=${'x'.repeat(71)}`, 'multipart/form-data; boundary=a\u0001b'])),
    'no form': (draft, random) => (draft.contentType = random.one(['', 'application/octet-stream', 'multipart/mixed; boundary=x', 'application/x-www-form-urlencoded', 'text/plain'])),
    'line ends of another kind': (draft) => late(draft, (body) => Buffer.from(body.toString('latin1').replaceAll('\r\n', '\n'), 'latin1')),
    'something before it': (draft) => late(draft, (body) => Buffer.concat([Buffer.from('preamble\r\n'), body])),
    'a part without a name': (draft) => late(draft, (body) => replaced(body, /; name="\w+"/, '')),
    'much behind its end': (draft) => late(draft, (body) => Buffer.concat([body, Buffer.alloc(5000, 'x')])),
  }, { outside: true, refused: true }),
  ...stageMutations('form', {
    'a wrong host key': (draft, random) => setKey(draft, random.one([...ODD_KEYS.filter((key) => key.isWellFormed()), `${String(draft.keys.k)}x`])),
    'no host key': (draft) => (draft.parts = draft.parts.filter(({ name }) => name !== 'k' && name !== 'sk')),
  }, { outside: true, refused: true, only: (method) => method !== 'hostKey' }),
  ...stageMutations('form', {
    'bytes changed': (draft, random) => late(draft, (body) => {
      const copy = Buffer.from(body);
      for (let i = 1 + random.below(4); i > 0 && copy.length > 0; i--) copy[random.below(copy.length)] = random.below(256);
      return copy;
    }),
  }, { outside: true }),
  ...stageMutations('form', { 'the host key of another user': (draft) => setKey(draft, draft.foreign.key) }, { outside: true }),
];

function setKey(draft: Draft, key: string): void {
  draft.parts = draft.parts.map((part) => (part.name === 'k' || part.name === 'sk' ? { ...part, value: key } : part));
}

function rename(draft: Draft, from: string, to: string): void {
  draft.parts = draft.parts.map((part) => (part.name === from || (from === 'k' && part.name === 'sk') ? { ...part, name: to } : part));
}

/** Once the form is bytes. */
function late(draft: Draft, change: (body: Buffer) => Buffer): void {
  draft.lateForm.push(change);
}

function replaced(body: Buffer, from: string | RegExp, to: string): Buffer {
  return Buffer.from(body.toString('latin1').replace(from, () => to), 'latin1');
}

/** The parts as one of the clients sends them. */
export function usualParts(draft: Draft, random: Random, needsSession: boolean): FormPart[] {
  const { k, s, c } = draft.keys as Record<'k' | 's' | 'c', string>;
  const data: FormPart = { name: 'data', value: draft.packed, file: true };
  const key: FormPart[] = draft.method === 'hostKey' ? [] : [{ name: random.chance(30) ? 'sk' : 'k', value: k }];
  const session: FormPart[] = needsSession || random.chance(50) ? [{ name: 's', value: s }] : [];
  const flag: FormPart = { name: 'c', value: draft.gzipFlag };
  const version: FormPart = { name: 'v', value: c };
  return random.chance(50) ? [data, flag, ...key, ...session, version] : [flag, ...key, version, ...session, data];
}

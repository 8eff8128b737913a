/** What may be wrong with the request around it: method, path, headers, framing, connection. */
import { stageMutations, type Draft, type Mutation } from './draft.ts';

const VERBS = ['GET', 'PUT', 'HEAD', 'DELETE', 'OPTIONS', 'PATCH', 'PROPFIND', 'TRACE', 'SEARCH'];
const PATHS = ['/', '/sync', '/sync/', '/msync', '/sync/unknown', '/msync/unknown', '/msync/hostKey', '/sync/begin', '/sync/%00', '/sync/..%2f..%2fetc', '/sync/__proto__',
  '/sync/constructor', '/health', '/favicon.ico', '/%', '/%ff%fe', '/sync/META', '/sync/met', '/../sync/metaa', `/${'x/'.repeat(3000)}`, `/sync/${'m'.repeat(9000)}`, '/\u0001', '*', '/?k=1', '/sync?meta'];

export const HTTP_MUTATIONS: Mutation[] = [
  ...stageMutations('http', {
    'slashes too many': (draft, random) => (draft.path = random.one([`/${draft.path}`, `${draft.path}/`, draft.path.replaceAll('/', '//'), `/anki${draft.path}`])),
    'a query': (draft, random) => (draft.path += random.one(['?x=1', '?', '?a=b&k=c', `?${'x'.repeat(5000)}`])),
    'letters of the path escaped': (draft) => (draft.path = draft.path.replace(/m/, '%6d').replace(/s/, '%73')),
    'the whole URL': (draft) => (draft.path = `http://localhost${draft.path}`),
    'more headers': (draft, random) => {
      for (let i = random.one([1, 60]); i > 0; i--) draft.headers.push([`x-odd-${i}`, 'x'.repeat(random.below(60))]);
    },
    'headers of proxies': (draft, random) => draft.headers.push(['x-forwarded-for', random.one(['', '1.2.3.4, ::1', 'x'.repeat(999)])], ['forwarded', 'for=_x'], ['x-forwarded-proto', 'https']),
    'an encoding that is not': (draft, random) => draft.headers.push(['content-encoding', random.one(['zstd', 'gzip', 'br', 'identity', 'x'])]),
    'another content type': (draft, random) => {
      if (draft.envelope === 'header') setHeader(draft, 'content-type', random.one(['', 'application/json', 'text/plain', 'multipart/form-data; boundary=x', 'x', '\u00e9']));
    },
    'no content type': (draft) => {
      if (draft.envelope === 'header') draft.headers = draft.headers.filter(([name]) => name !== 'content-type');
    },
    'its length': (draft) => (draft.framing = 'length'),
    'chunks of a few bytes': (draft, random) => {
      draft.framing = 'chunked';
      draft.pieceBytes = draft.body.length > 4000 ? 700 : 1 + random.below(20);
    },
    'extensions of chunks': (draft) => {
      draft.framing = 'chunked';
      draft.rewrite = (request, head) => edited(request, head, (body) => body.replace(/^([0-9a-f]+)\r\n/, '$1;x="y"\r\n'));
    },
    'trailers': (draft) => {
      draft.framing = 'chunked';
      draft.rewrite = (request, head) => edited(request, head, (body) => body.replace(/0\r\n\r\n$/, '0\r\nx-trailer: 1\r\nanki-sync: {}\r\n\r\n'));
    },
    'to be continued': (draft) => draft.headers.push(['expect', '100-continue']),
    'an upgrade': (draft) => draft.headers.push(['upgrade', 'h2c'], ['http2-settings', 'AAMAAABkAAQAAP__']),
    'many at once': (draft) => (draft.copies = 12),
  }),
  ...stageMutations('http', {
    'another method': (draft, random) => (draft.verb = random.one(VERBS)),
    'another path': (draft, random) => (draft.path = random.one(PATHS)),
    'a GET with the keys in its query': (draft) => {
      draft.verb = 'GET';
      draft.path += `?k=${encodeURIComponent(String(draft.keys.k).toWellFormed())}&v=${encodeURIComponent('fuzz')}`;
      draft.headers = draft.headers.filter(([name]) => name !== 'anki-sync' && name !== 'content-type');
      draft.framing = 'none';
    },
    'the method alone': (draft) => (draft.path = draft.path.replace(/.*\//, '/')),
    'no body': (draft) => (draft.framing = 'none'),
    'the header twice': (draft) => {
      const header = draft.headers.find(([name]) => name === 'anki-sync');
      if (header !== undefined) draft.headers.push(header);
    },
    'both envelopes': (draft) => {
      if (draft.envelope === 'header') setHeader(draft, 'content-type', 'multipart/form-data; boundary=x');
      else draft.headers.push(['anki-sync', JSON.stringify({ v: 11, k: draft.keys.k, c: '', s: draft.keys.s })]);
    },
    'huge headers': (draft) => draft.headers.push(['x-huge', 'x'.repeat(20_000)]),
    'many headers': (draft) => {
      for (let i = 0; i < 2500; i++) draft.headers.push(['a', '']);
    },
  }, { outside: true }),
  ...stageMutations('http', {
    'no host': (draft) => (draft.headers = draft.headers.filter(([name]) => name !== 'host')),
    'two lengths': (draft) => {
      draft.framing = 'length';
      draft.headers.push(['content-length', '3']);
    },
    'a length and chunks': (draft) => {
      draft.framing = 'chunked';
      draft.headers.push(['content-length', '5']);
    },
    'a length that is none': (draft, random) => {
      draft.framing = 'none';
      draft.headers.push(['content-length', random.one(['-1', 'x', '1e3', '', '99999999999999999999', '0x10', '+5'])]);
    },
    'a coding that nobody knows': (draft, random) => {
      draft.framing = 'none';
      draft.headers.push(['transfer-encoding', random.one(['gzip, chunked', 'chunked, gzip', 'x', 'chunked, chunked', '\u000bchunked'])]);
    },
    'a chunk of a wrong size': (draft, random) => {
      draft.framing = 'chunked';
      const size = random.one(['zz', '-1', 'ffffffffffffffffff', '1\n', ' ', '0x5']);
      draft.rewrite = (request, head) => edited(request, head, (body) => body.replace(/^[0-9a-f]+/, size));
    },
    'another version of HTTP': (draft, random) => {
      const version = random.one(['HTTP/1.0', 'HTTP/0.9', 'HTTP/2.0', 'HTTP/9.9', 'HTTP/1.1 x', 'XTTP/1.1']);
      draft.rewrite = (request) => Buffer.from(request.toString('latin1').replace('HTTP/1.1', version), 'latin1');
    },
    'line ends of another kind': (draft) => (draft.rewrite = (request, head) => Buffer.concat([Buffer.from(request.toString('latin1', 0, head).replaceAll('\r\n', '\n'), 'latin1'), request.subarray(head)])),
    'a folded header': (draft) => draft.headers.push(['x-folded', 'a\r\n b']),
    'a header that is none': (draft, random) => draft.headers.push([random.one(['', ' x', 'a b', 'a\u0000', 'x\r\n']), 'y']),
    'a client that goes': (draft, random) => (draft.cutAfter = random.one([1, 30, 200, 400, 600, 3000])),
    'a client that goes before the last byte': (draft) => (draft.cutAfter = -1),
  }, { outside: true }).map(malformed),
  // node:http may answer before the server does, which goes on: nobody could tell what it did
  ...stageMutations('http', {
    'bytes of the head changed': (draft, random) => {
      const [at, value] = [random.below(200), random.below(256)];
      draft.rewrite = (request, head) => {
        const copy = Buffer.from(request);
        copy[at % head] = value;
        return copy;
      };
    },
    'more than its length': (draft) => {
      draft.framing = 'length';
      draft.rewrite = (request) => Buffer.concat([request, Buffer.from('and more')]);
    },
  }, { outside: true, only: (method) => ['hostKey', 'begin', 'mediaChanges', 'downloadFiles', 'mediaSanity'].includes(method) }).map(malformed),
];

function malformed(mutation: Mutation): Mutation {
  const change: Mutation['change'] = (draft, random) => {
    mutation.change(draft, random);
    draft.malformed = true;
  };
  return { ...mutation, change };
}

function setHeader(draft: Draft, name: string, value: string): void {
  draft.headers = [...draft.headers.filter(([other]) => other !== name), [name, value]];
}

function edited(request: Buffer, headBytes: number, change: (body: string) => string): Buffer {
  return Buffer.concat([request.subarray(0, headBytes), Buffer.from(change(request.toString('latin1', headBytes)), 'latin1')]);
}

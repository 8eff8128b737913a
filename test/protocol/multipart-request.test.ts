/** The envelope of versions 8-10, from the bytes of a form to the body of a method. */
import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { randomBytes } from 'node:crypto';
import { inspect } from 'node:util';
import { gzipSync } from 'node:zlib';
import { DEFAULT_BODY_LIMITS, type BodyLimits } from '../../lib/protocol/body-limits.ts';
import { receiveBody } from '../../lib/protocol/body-to-file.ts';
import { readEmptyBody, readJsonBody } from '../../lib/protocol/json-body.ts';
import { FormSpool } from '../../lib/protocol/form-spool.ts';
import { openSyncRequest, type FormRoom, type SyncRequest } from '../../lib/protocol/request.ts';
import { routeOf } from '../../lib/protocol/route.ts';
import { contentType, pythonForm, PYTHON_BOUNDARY, REQWEST_BOUNDARY, rustForm } from './forms.ts';
import { inPieces, NO_FILES } from './sync-requests.ts';

let folder: string;
let paths = 0;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'anki-forms-'));
});
after(() => rm(folder, { recursive: true, force: true }));

const newPath = (): string => join(folder, `form-${++paths}`);
const spoolOf = (maxBytes: number): FormRoom => ({ limits: DEFAULT_BODY_LIMITS, spool: new FormSpool({ maxBytes, newPath }) });
const spooledFiles = (): string[] => readdirSync(folder).filter((name) => name.startsWith('form-'));

interface Sent {
  httpMethod?: string;
  pieceBytes?: number;
  address?: string;
  forms?: FormRoom;
  body?: AsyncIterable<Uint8Array>;
}

async function opened(url: string, form: Buffer | null, sent: Sent = {}): Promise<SyncRequest> {
  const httpMethod = sent.httpMethod ?? 'POST';
  const route = routeOf(httpMethod, url);
  if (route.kind !== 'sync' && route.kind !== 'media') throw new Error(`${url} is no method`);
  const boundary = form?.includes(PYTHON_BOUNDARY) ? PYTHON_BOUNDARY : REQWEST_BOUNDARY;
  const http = {
    method: httpMethod,
    url,
    headers: form === null ? {} : { 'content-type': contentType(boundary), 'user-agent': 'a test' },
    body: sent.body ?? (form === null ? null : inPieces(form, sent.pieceBytes ?? 64 * 1024)),
    ...(sent.address === undefined ? {} : { clientAddress: sent.address }),
  };
  return openSyncRequest(http, route, sent.forms ?? NO_FILES);
}

const json = async (request: SyncRequest, limits: BodyLimits = DEFAULT_BODY_LIMITS): Promise<string> => (await readJsonBody(request, limits)).toString();

/** What arrives in the file, which is removed. */
async function received(request: SyncRequest, limits: BodyLimits = DEFAULT_BODY_LIMITS): Promise<Buffer> {
  const path = join(folder, `received-${++paths}`);
  try {
    await receiveBody(request, path, limits);
    return await readFile(path);
  } finally {
    await rm(path, { force: true });
    await request.release?.();
  }
}

describe('a form', () => {
  const META = '{"v":10,"cv":"anki,2.1.44 (b2b3275f),linux"}';

  test('of 2.1.28 to 2.1.56 brings keys and packed data', async () => {
    for (const pieceBytes of [1, 100, 10_000]) {
      const request = await opened('/sync/meta', rustForm(gzipSync(META), { c: '1', k: 'key', s: 'session' }), { pieceBytes });
      const { version, hostKey, sessionKey, client, method } = request;
      assert.deepEqual({ version, hostKey, sessionKey, client, method }, { version: 10, hostKey: 'key', sessionKey: 'session', client: 'a test', method: 'meta' });
      assert.equal(await json(request), META);
    }
  });

  test('of 2.1.26 and AnkiDroid brings them in another order', async () => {
    const request = await opened('/sync/meta', pythonForm({ s: 'session', c: '1', v: 'ankidroid,2.9', k: 'key' }, gzipSync(META)));
    assert.equal(request.hostKey, 'key');
    assert.equal(request.sessionKey, 'session');
    assert.equal(request.client, 'ankidroid,2.9');
    assert.equal(await json(request), META);
  });

  test('of a media sync brings the host key as sk, and data that are not packed', async () => {
    for (const form of [rustForm(Buffer.from('{"lastUsn":0}'), { sk: 'key' }), pythonForm({ sk: 'key', c: '0' }, Buffer.from('{"lastUsn":0}'))]) {
      const request = await opened('/msync/mediaChanges', form);
      assert.equal(request.hostKey, 'key');
      assert.equal(await json(request), '{"lastUsn":0}');
    }
  });

  test('without data, or with none in it, is {} where a method takes JSON or nothing', async () => {
    const forms = [
      pythonForm({ c: '1', k: 'key' }),
      pythonForm({ c: '1', k: 'key' }, undefined, ''),
      pythonForm({ c: '1', k: 'key', s: 's' }, Buffer.alloc(0)),
      rustForm(Buffer.alloc(0), { c: '1', k: 'key', s: 's' }),
    ];
    for (const form of forms) {
      for (const method of ['download', 'chunk', 'finish', 'abort']) await readEmptyBody(await opened(`/sync/${method}`, form), DEFAULT_BODY_LIMITS);
      assert.equal(await json(await opened('/sync/applyChunk', form)), '{}');
      await assert.rejects(opened('/sync/upload', form).then(received), { code: 'UPLOAD_EMPTY' });
    }
  });

  test('or a query begins a media sync and tells the client version beside the data', async () => {
    for (const request of [
      await opened('/msync/begin', pythonForm({ k: 'key', v: 'ankidroid,2.9 "x"', c: '1' }, gzipSync('{}'))),
      await opened('/msync/begin?k=key&v=ankidroid%2C2.9+%22x%22', null, { httpMethod: 'GET' }),
    ]) {
      assert.equal(request.hostKey, 'key');
      assert.equal(request.version, 10);
      assert.deepEqual(JSON.parse(await json(request)), { v: 'ankidroid,2.9 "x"' });
    }
    const silent = await opened('/msync/begin?k=key', null, { httpMethod: 'GET' });
    assert.deepEqual(JSON.parse(await json(silent)), { v: '' });
    const modern = await opened('/msync/begin', rustForm(Buffer.from('{"v":"inside"}'), { sk: 'key' }));
    assert.deepEqual(JSON.parse(await json(modern)), { v: 'inside' });
  });

  test('that says a thing twice is refused, wherever the second one comes', async () => {
    for (const form of [
      rustForm(Buffer.from('{}'), { k: 'key', sk: 'key' }),
      pythonForm({ k: 'a', sk: 'b' }, Buffer.from('{}')),
      Buffer.concat([pythonForm({ data: '{}' }, undefined, ''), pythonForm({ k: 'key' }, Buffer.from('{}'))]),
    ]) {
      await assert.rejects(opened('/sync/meta', form), { code: 'BODY_INVALID' });
    }
    const late = Buffer.concat([pythonForm({ c: '0', k: 'key' }, Buffer.from('zip'), ''), pythonForm({ k: 'other' })]);
    await assert.rejects(opened('/msync/uploadChanges', late).then(received), { code: 'BODY_INVALID' });
  });

  test('tells no key in what is wrong with it', async () => {
    for (const form of [
      pythonForm({ k: 'SECRET', sk: 'SECRET' }, Buffer.from('{}')),
      pythonForm({ k: 'SECRET'.repeat(1000) }),
      pythonForm({ k: 'SECRET' }, Buffer.from('{}')).subarray(0, -10),
      rustForm(Buffer.from('{}'), { k: 'SECRET' }).subarray(0, -10),
    ]) {
      await assert.rejects(opened('/sync/meta', form), (error) => !inspect(error, { depth: 9 }).includes('SECRET'));
    }
    const damaged = await opened('/sync/hostKey', rustForm(Buffer.from('{"u":"a","p":"SECRET"}'), { c: '1' }));
    await assert.rejects(json(damaged), (error) => !inspect(error, { depth: 9 }).includes('SECRET'));
  });
});

describe('packed data', () => {
  const TEXT = Buffer.from(`{"text":"${'abc'.repeat(200_000)}"}`);
  const packed = gzipSync(TEXT);
  const wrong: [string, Buffer, string][] = [
    ['garbage', Buffer.from('no gzip at all'), 'BODY_INVALID'],
    ['gzip that is cut', packed.subarray(0, -5), 'BODY_TRUNCATED'],
    ['gzip of which only the head is there', packed.subarray(0, 10), 'BODY_TRUNCATED'],
    ['gzip with a wrong checksum', Buffer.concat([packed.subarray(0, -8), Buffer.alloc(8, 1)]), 'BODY_INVALID'],
    ['gzip with garbage behind it', Buffer.concat([packed, Buffer.from('garbage')]), 'BODY_INVALID'],
    ['gzip with zeros behind it', Buffer.concat([packed, Buffer.alloc(300_000)]), 'BODY_TRAILING_DATA'],
  ];
  for (const [what, data, code] of wrong) {
    test(`that are ${what} are refused, in memory and on the way to a file`, async () => {
      for (const pieceBytes of [100, 64 * 1024]) {
        const sent = { pieceBytes };
        await assert.rejects(opened('/sync/applyChunk', pythonForm({ c: '1', k: 'k', s: 's' }, data), sent).then(json), { code });
        await assert.rejects(opened('/sync/upload', pythonForm({ c: '1', k: 'k' }, data), sent).then(received), { code });
      }
    });
  }

  test('arrive whole in memory and in a file, also of several members', async () => {
    for (const data of [packed, Buffer.concat([packed.subarray(0), gzipSync('')])]) {
      assert.equal(await json(await opened('/sync/applyChunk', pythonForm({ c: '1', k: 'k', s: 's' }, data))), TEXT.toString());
      assert.deepEqual(await received(await opened('/sync/upload', pythonForm({ c: '1', k: 'k' }, data))), TEXT);
    }
  });

  test('are not unpacked past the limit', async () => {
    const bomb = gzipSync(Buffer.alloc(20 * 1024 * 1024));
    await assert.rejects(opened('/sync/meta', rustForm(bomb, { c: '1', k: 'k' }), { pieceBytes: 1024 }).then(json), { code: 'BODY_TOO_LARGE' });
    const limits = { ...DEFAULT_BODY_LIMITS, maxUnpackedBytes: 1024 * 1024, maxJsonBytes: 1024 * 1024 };
    await assert.rejects(opened('/sync/upload', pythonForm({ c: '1', k: 'k' }, bomb)).then((request) => received(request, limits)), { code: 'BODY_TOO_LARGE' });
    await assert.rejects(opened('/sync/applyChunk', pythonForm({ c: '1', k: 'k', s: 's' }, bomb)).then((request) => json(request, limits)), { code: 'BODY_TOO_LARGE' });
    await assert.rejects(
      opened('/sync/upload', pythonForm({ c: '0', k: 'k' }, Buffer.alloc(1024 * 1024 + 1))).then((request) => received(request, limits)),
      { code: 'BODY_TOO_LARGE' },
    );
  });
});

describe('data behind the keys', () => {
  test('are not read before they are asked for, and wait nowhere', async () => {
    const data = randomBytes(2 * 1024 * 1024);
    const form = pythonForm({ k: 'key', c: '0' }, data);
    let sentBytes = 0;
    async function* counted(): AsyncGenerator<Uint8Array> {
      for await (const piece of inPieces(form, 4096)) {
        sentBytes += piece.length;
        yield piece;
      }
    }
    const request = await opened('/sync/upload', form, { body: counted() });
    assert.ok(sentBytes <= 2 * 4096, `${sentBytes} bytes were read for the keys`);
    assert.deepEqual(await received(request), data);
    assert.equal(sentBytes, form.length);
  });

  test('that end too early are refused', async () => {
    const form = pythonForm({ k: 'key', c: '0' }, Buffer.alloc(100_000));
    for (const bytes of [form.length - 10, 50_000]) {
      await assert.rejects(opened('/sync/upload', form.subarray(0, bytes)).then(received), { code: 'BODY_TRUNCATED' });
    }
  });
});

describe('data before the keys', () => {
  const large = randomBytes(1024 * 1024);

  test('wait in memory when they are small, and in a file that goes away when they are not', async () => {
    for (const [bytes, files] of [[64 * 1024, 0], [64 * 1024 + 1, 1], [1024 * 1024, 1]] as const) {
      const data = large.subarray(0, bytes);
      for (const pieceBytes of [1000, 64 * 1024]) {
        const request = await opened('/sync/upload', rustForm(data, { c: '0', k: 'key' }), { forms: spoolOf(10 * bytes), pieceBytes });
        assert.equal(spooledFiles().length, files);
        assert.deepEqual(await received(request), data);
        assert.deepEqual(spooledFiles(), []);
      }
    }
  });

  test('leave no file when the form is refused, or is never read', async () => {
    const form = rustForm(large, { c: '0', k: 'key' });
    const forms = spoolOf(10 * 1024 * 1024);
    await assert.rejects(opened('/sync/upload', form.subarray(0, -10), { forms }), { code: 'BODY_TRUNCATED' });
    await assert.rejects(opened('/sync/upload', form.subarray(0, 500_000), { forms }), { code: 'BODY_TRUNCATED' });
    assert.deepEqual(spooledFiles(), []);
    await (await opened('/sync/upload', form, { forms })).release?.();
    assert.deepEqual(spooledFiles(), []);
  });

  test('of strangers share 16 MiB; those whose address has shown a key share what uploads may have', async () => {
    const forms = spoolOf(24 * 1024 * 1024);
    const form = rustForm(Buffer.alloc(9 * 1024 * 1024), { c: '0', k: 'key' });
    const open = (address: string): Promise<SyncRequest> => opened('/sync/upload', form, { forms, address });
    const first = await open('192.0.2.1');
    await assert.rejects(open('192.0.2.2'), { code: 'BUSY', status: 503 });
    forms.spool.know('192.0.2.2');
    const second = await open('192.0.2.2');
    await assert.rejects(open('192.0.2.2'), { code: 'BUSY' });
    await first.release?.();
    const tiny = rustForm(Buffer.alloc(4096), { c: '0', k: 'key' });
    const third = await open('192.0.2.2');
    await assert.rejects(open('192.0.2.2'), { code: 'BUSY' });
    await (await opened('/sync/upload', tiny, { forms, address: '192.0.2.2' })).release?.();
    await second.release?.();
    await third.release?.();
    await (await open('192.0.2.3')).release?.();
    assert.deepEqual(spooledFiles(), []);
  });

  test('past the limit are let go, and the method itself says so once the key is there', async () => {
    const limits = { ...DEFAULT_BODY_LIMITS, maxPackedBytes: 500_000, maxMediaBytes: 500_000 };
    const forms = { ...spoolOf(10 * 1024 * 1024), limits };
    for (const url of ['/sync/upload', '/msync/uploadChanges']) {
      const request = await opened(url, rustForm(large, { c: '0', k: 'key' }), { forms });
      assert.equal(request.hostKey, 'key');
      assert.deepEqual(spooledFiles(), []);
      await assert.rejects(received(request, limits), { code: 'BODY_TOO_LARGE' });
    }
    const atLimit = await opened('/sync/upload', rustForm(large.subarray(0, 500_000), { c: '0', k: 'key' }), { forms });
    assert.equal((await received(atLimit, limits)).length, 500_000);
  });
});

test('forms damaged at random are taken or refused, and leave nothing behind', async () => {
  let state = 20;
  const random = (below: number): number => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
  const text = Buffer.from(`{"files":["${'a'.repeat(300)}"]}`);
  const forms = [
    rustForm(gzipSync(text), { c: '1', k: 'key', s: 's' }),
    rustForm(text, { sk: 'key' }),
    rustForm(randomBytes(70_000), { c: '0', k: 'key' }),
    pythonForm({ k: 'key', s: 's', v: 'x', c: '1' }, gzipSync(text)),
    pythonForm({ c: '1', k: 'key' }),
  ];
  const room = spoolOf(1024 * 1024);
  const marks = ['\r\n', '--', `--${PYTHON_BOUNDARY}`, `\r\n--${REQWEST_BOUNDARY}\r\n`, '"', ';', '\u0000', 'name="k"', '\x1f\x8b'];
  let refused = 0;
  for (let round = 0; round < 1500; round++) {
    let form = Buffer.from(forms[random(forms.length)]!);
    for (let change = random(3); change >= 0; change--) {
      // most of a form with large data is data
      const at = random(2) === 0 ? random(form.length + 1) : Math.max(0, form.length - random(500));
      const piece = Buffer.from(marks[random(marks.length)]!, 'latin1');
      const gone = random(4) === 0 ? random(form.length - at + 1) : random(8);
      form = Buffer.concat([form.subarray(0, at), random(2) === 0 ? piece : Buffer.alloc(0), form.subarray(at + gone)]);
    }
    const url = ['/sync/meta', '/sync/applyChunk', '/sync/upload', '/msync/uploadChanges'][random(4)]!;
    try {
      const request = await opened(url, form, { forms: room, pieceBytes: 1 + random(5000) });
      await (request.spec.input === 'bytes' ? received(request) : json(request).finally(() => request.release?.()));
    } catch (error) {
      refused++;
      const { status } = error as { status?: number };
      assert.ok(status !== undefined && status < 500, `round ${round}: ${String(error)}`);
    }
  }
  assert.ok(refused > 300 && refused < 1500, `${refused} were refused`);
  assert.deepEqual(spooledFiles(), []);
});

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { describe, test } from 'node:test';
import { openBody } from '../../lib/protocol/body-source.ts';
import { boundaryOf, MultipartReader } from '../../lib/protocol/multipart.ts';
import { formOf, pythonForm, PYTHON_BOUNDARY, REQWEST_BOUNDARY, rustForm, type FormPart } from './forms.ts';
import { inPieces } from './sync-requests.ts';

function readerOf(body: Uint8Array, boundary: string, pieceBytes: number): MultipartReader {
  return new MultipartReader(openBody({ bytes: inPieces(body, pieceBytes), contentLength: undefined }, Infinity), boundary);
}

/** Name and value of each part; `data` read as large, the others as small ones. */
async function partsOf(body: Uint8Array, boundary: string, pieceBytes = 64 * 1024): Promise<[string, string][]> {
  const reader = readerOf(body, boundary, pieceBytes);
  const parts: [string, string][] = [];
  for (let name = await reader.nextPart(); name !== null; name = await reader.nextPart()) {
    if (name !== 'data') {
      parts.push([name, await reader.field()]);
      continue;
    }
    const pieces: Uint8Array[] = [];
    for (let piece = await reader.data(); piece !== null; piece = await reader.data()) {
      assert.ok(piece.length > 0);
      pieces.push(piece);
    }
    parts.push([name, Buffer.concat(pieces).toString('latin1')]);
  }
  return parts;
}

describe('a form', () => {
  test('is read part by part, however it was cut on its way', async () => {
    const forms: [Buffer, string, [string, string][]][] = [
      [rustForm(Buffer.from('{"v":10}'), { c: '0', k: 'key', s: 'session' }), REQWEST_BOUNDARY, [['data', '{"v":10}'], ['c', '0'], ['k', 'key'], ['s', 'session']]],
      [pythonForm({ k: 'key', s: 'ü' }, Buffer.alloc(0)), PYTHON_BOUNDARY, [['k', 'key'], ['s', 'ü'], ['data', '']]],
      [pythonForm({}, Buffer.from('\r\n')), PYTHON_BOUNDARY, [['data', '\r\n']]],
      [pythonForm({ k: '', v: 'ankidroid,2.9\r\n' }), PYTHON_BOUNDARY, [['k', ''], ['v', 'ankidroid,2.9\r\n']]],
      [Buffer.from(`--${PYTHON_BOUNDARY}--\r\n`), PYTHON_BOUNDARY, []],
    ];
    for (const [form, boundary, expected] of forms) {
      for (const pieceBytes of [1, 2, 3, 7, 50, 1000]) assert.deepEqual(await partsOf(form, boundary, pieceBytes), expected, `${pieceBytes}`);
    }
  });

  test('may hold data that look like its boundary', async () => {
    const { length } = `\r\n--${PYTHON_BOUNDARY}`;
    const data = Buffer.concat([
      Buffer.from(`--${PYTHON_BOUNDARY}--\r\n\n--${PYTHON_BOUNDARY}\r--${PYTHON_BOUNDARY}`),
      ...Array.from({ length }, (_, bytes) => Buffer.from(`\r\n--${PYTHON_BOUNDARY}`.slice(0, bytes))),
      Buffer.from('\r\n\r\n--'),
    ]);
    for (const pieceBytes of [1, length - 1, length, length + 1, data.length]) {
      assert.deepEqual(await partsOf(pythonForm({ c: '0' }, data), PYTHON_BOUNDARY, pieceBytes), [['c', '0'], ['data', data.toString('latin1')]]);
    }
  });

  test('with a megabyte of data arrives whole in pieces of any size', async () => {
    const data = randomBytes(1024 * 1024);
    for (const pieceBytes of [4096, 16384, 65536, 1048576]) {
      assert.deepEqual((await partsOf(rustForm(data, {}), REQWEST_BOUNDARY, pieceBytes))[0], ['data', data.toString('latin1')]);
    }
  });

  test('without data may lack its end, as those of AnkiDroid do', async () => {
    const form = pythonForm({ c: '1', k: 'key' }, undefined, '');
    for (const pieceBytes of [1, 10, 1000]) assert.deepEqual(await partsOf(form, PYTHON_BOUNDARY, pieceBytes), [['c', '1'], ['k', 'key']]);
  });

  test('that is cut anywhere else is not taken for a complete one', async () => {
    const forms: [Buffer, string][] = [
      [rustForm(Buffer.from('{"v":10}'), { c: '0', k: 'key' }), REQWEST_BOUNDARY],
      [pythonForm({ k: 'key', c: '0' }, Buffer.from('{"v":10}')), PYTHON_BOUNDARY],
    ];
    for (const [form, boundary] of forms) {
      const complete = form.length - 2; // the last line end says nothing
      for (let bytes = 0; bytes < complete; bytes++) {
        const cut = form.subarray(0, bytes);
        // an old AnkiDroid's, for all that can be known
        if (!cut.includes('name="data"') && /name="[kc]"\r\n\r\n\w+\r\n$/.test(cut.toString())) continue;
        await assert.rejects(partsOf(cut, boundary), { code: 'BODY_TRUNCATED' }, `${bytes} bytes: ${JSON.stringify(cut.toString())}`);
      }
      await partsOf(form.subarray(0, complete), boundary);
    }
  });

  const refusals: [string, Buffer, string][] = [
    ['that does not begin with its boundary', Buffer.from(`x\r\n--${PYTHON_BOUNDARY}--`), 'BODY_INVALID'],
    ['of another boundary', Buffer.from('--another\r\n'.repeat(100)), 'BODY_INVALID'],
    ['whose boundary goes on', Buffer.from(`--${PYTHON_BOUNDARY}x\r\n`), 'BODY_INVALID'],
    ['with a field of more than 4 KiB', pythonForm({ k: 'x'.repeat(4097) }), 'BODY_INVALID'],
    ['with an unknown field of more than 4 KiB', pythonForm({ other: 'x'.repeat(4097) }), 'BODY_INVALID'],
    ['with headers of more than 4 KiB', pythonForm({ ['x'.repeat(5000)]: '' }), 'BODY_INVALID'],
    ['with headers that do not end', Buffer.from(`--${PYTHON_BOUNDARY}\r\n${'x: y\r\n'.repeat(2000)}`), 'BODY_INVALID'],
    ['with seventeen parts', formOf(PYTHON_BOUNDARY, Array.from({ length: 17 }, (): FormPart => ({ name: 'x', value: '' }))), 'BODY_INVALID'],
    ['with a field that is not UTF-8', formOf(PYTHON_BOUNDARY, [{ name: 'k', value: Buffer.from([0xff]) }]), 'BODY_INVALID'],
    ['with a part without a name', Buffer.from(`--${PYTHON_BOUNDARY}\r\nContent-Disposition: form-data; filename="name=k"\r\n\r\nx\r\n--${PYTHON_BOUNDARY}--`), 'BODY_INVALID'],
    ['with a part without headers', Buffer.from(`--${PYTHON_BOUNDARY}\r\n\r\n\r\n\r\nx\r\n--${PYTHON_BOUNDARY}--`), 'BODY_INVALID'],
    ['that goes on after its end', Buffer.concat([pythonForm({ k: 'key' }), Buffer.alloc(1100)]), 'BODY_TRAILING_DATA'],
  ];
  for (const [what, form, code] of refusals) {
    test(`${what} is refused`, async () => {
      for (const pieceBytes of [1, 100, 100_000]) await assert.rejects(partsOf(form, PYTHON_BOUNDARY, pieceBytes), { code });
    });
  }

  test('names a part by the name parameter alone, quoted or not', async () => {
    for (const disposition of ['form-data; name=k', 'form-data; filename="; name=x"; name="k"', 'FORM-DATA;NAME="k"', 'form-data; name="\\k"; name="x"']) {
      const form = Buffer.from(`--b\r\nA: b\r\ncontent-disposition: ${disposition}\r\nC: d\r\n\r\nvalue\r\n--b--`);
      assert.deepEqual(await partsOf(form, 'b'), [['k', 'value']], disposition);
    }
  });
});

test('a content type tells the boundary, if it is that of a form', () => {
  assert.equal(boundaryOf('multipart/form-data; boundary=Anki-sync-boundary'), 'Anki-sync-boundary');
  assert.equal(boundaryOf('Multipart/Form-Data; charset=utf-8; Boundary="a b"'), 'a b');
  for (const other of ['', 'application/octet-stream', 'multipart/mixed; boundary=x', 'text/plain; x="multipart/form-data"', 'multipart/form-dataX; boundary=x']) {
    assert.equal(boundaryOf(other), null, other);
  }
  for (const bad of ['multipart/form-data', 'multipart/form-data; boundary=', 'multipart/form-data; boundary="x "', `multipart/form-data; boundary=${'x'.repeat(71)}`, 'multipart/form-data; boundary="a\\\r\nb"', 'multipart/form-data; boundary=ü']) {
    assert.throws(() => boundaryOf(bad), { code: 'BODY_INVALID' }, bad);
  }
});

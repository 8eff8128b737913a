/** The example of operation.md, with OpenTelemetry's own API (which comes with prom-client) in front of a tracer that prints what it gets. */
import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'node:test';
import { pathToFileURL } from 'node:url';
import { RawClient } from '../client/raw.ts';
import { startServer } from '../cli/command.ts';
import { metaOf, untilSanityCheck, wholeSync } from '../engine/whole-sync.ts';
import { ROOT } from '../package/project-copy.ts';

const PRINTING_TRACER = `
import { trace } from '@opentelemetry/api';
trace.setGlobalTracerProvider({ getTracer: () => ({ startSpan(name, options) {
  const span = { name, root: options.root === true, failed: false, attributes: {} };
  return {
    setAttributes(attributes) { Object.assign(span.attributes, attributes); return this; },
    setStatus({ code }) { span.failed = code === 2; return this; },
    end() { console.log('SPAN ' + JSON.stringify(span)); },
  };
} }) });
`;

interface Printed {
  name: string;
  root: boolean;
  failed: boolean;
  attributes: Record<string, unknown>;
}

test('the example of operation.md makes spans of requests, uploads and syncs of a server that runs by itself', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'anki-sync-docs-spans-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const page = await readFile(join(ROOT, 'docs/operation.md'), 'utf8');
  const [, example] = /```js\n(\/\/ spans\.js\n.*?)```/s.exec(page) ?? [];
  await symlink(join(ROOT, 'node_modules'), join(folder, 'node_modules'));
  await writeFile(join(folder, 'package.json'), '{ "type": "module" }');
  await writeFile(join(folder, 'tracer.js'), PRINTING_TRACER);
  await writeFile(join(folder, 'spans.js'), example!);
  const imports = ['tracer.js', 'spans.js'].map((name) => `--import ${pathToFileURL(join(folder, name)).href}`).join(' ');
  const server = await startServer(t, ['--base', join(folder, 'data'), '--port', '0', '--host', '127.0.0.1'], { env: { NODE_OPTIONS: imports, SYNC_USER1: 'ada:right' } });

  const ada = new RawClient(server.url, { sessionKey: 'ada' });
  await ada.hostKey('ada', 'right');
  await wholeSync(ada);
  const collection = await ada.post('download', {}, { version: 10 });
  await ada.post('upload', Buffer.from('garbage'));
  await ada.post('upload', collection.body);
  await untilSanityCheck(ada);
  await metaOf(ada);
  await ada.post('finish');
  assert.equal(await server.stop('SIGTERM'), 0);

  const spans = server.lines.filter((line) => line.startsWith('SPAN ')).map((line) => JSON.parse(line.slice(5)) as Printed);
  const of = (name: string): Printed[] => spans.filter((span) => span.name === name);
  const methods = of('anki-sync.request').map(({ attributes, failed }) => [attributes['anki.method'], attributes['http.response.status_code'], attributes['error.type'], failed]);
  assert.deepEqual(methods.slice(0, 3), [['hostKey', 200, undefined, false], ['meta', 200, undefined, false], ['start', 200, undefined, false]]);
  assert.deepEqual(methods.at(-1), ['finish', 409, 'SYNC_NOT_ACTIVE', false]);
  assert.deepEqual(of('anki-sync.upload').map(({ attributes }) => attributes['anki.bytes']), [7, collection.body.length]);
  const syncs = of('anki-sync.sync').map(({ attributes, root }) => [attributes['anki.kind'], attributes['anki.outcome'], root]);
  assert.deepEqual(syncs, [['normal', 'done', true], ['download', 'done', true], ['upload', 'ended', true], ['upload', 'done', true], ['normal', 'ended', true]]);
  assert.equal(of('anki-sync.sync')[0]!.attributes['anki.up.objects'], 2);
});

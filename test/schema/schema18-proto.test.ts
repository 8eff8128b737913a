import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { ScalarType } from '@bufbuild/protobuf';
import type { DescMessage } from '@bufbuild/protobuf';
import * as generated from '../../lib/schema/proto/schema18_pb.ts';
import { ankiEnvironment, ankiPython, run } from '../oracle/anki-python.ts';

const PROTO = new URL('../../lib/schema/proto/schema18.proto', import.meta.url);
const GENERATOR = fileURLToPath(new URL('../oracle/generate-collection.py', import.meta.url));
const ENUM = 14;
const MESSAGE = 11;

const messages = [
  generated.NotetypeConfigSchema,
  generated.FieldConfigSchema,
  generated.TemplateConfigSchema,
  generated.DeckCommonSchema,
  generated.DeckKindSchema,
  generated.DeckConfigSchema,
];

type Fields = { [name: string]: [number: number, type: number, repeated: boolean, message: Fields | null] };

function fieldsOf(desc: DescMessage): Fields {
  return Object.fromEntries(
    desc.fields.map((field) => [
      field.name,
      [field.number, field.scalar ?? MESSAGE, field.fieldKind === 'list', field.message === undefined ? null : fieldsOf(field.message)],
    ]),
  );
}

/** Our enums are int32. */
function withoutEnums(fields: Fields): Fields {
  return Object.fromEntries(
    Object.entries(fields).map(([name, [number, type, repeated, message]]) => [
      name,
      [number, type === ENUM ? ScalarType.INT32 : type, repeated, message && withoutEnums(message)],
    ]),
  );
}

test('our messages have the fields of Anki\'s, by name, number and type', async () => {
  const anki = JSON.parse(await run(await ankiPython(), [GENERATOR, 'describe'], { env: ankiEnvironment() })) as Fields[];
  assert.deepEqual(messages.map(fieldsOf), anki.map(withoutEnums));
});

test('the generated module is that of the .proto file', async () => {
  const source = (await readFile(PROTO, 'utf8')).replaceAll(/\/\/.*$/gm, '');
  const found: string[] = [];
  const path: string[] = [];
  const tokens = source.matchAll(/message (\w+) \{|oneof \w+ \{|(optional |repeated )?(\w+) (\w+) = (\d+);|\}/g);
  for (const [token, message, label, type, name, number] of tokens) {
    if (token === '}') path.pop();
    else if (name === undefined) path.push(message ?? '');
    else found.push(`${path.filter(Boolean).join('.')} ${label ?? ''}${type} ${name} ${number}`);
  }
  const described: string[] = [];
  const describeMessage = (desc: DescMessage): void => {
    for (const field of desc.fields) {
      const label = field.fieldKind === 'list' ? 'repeated ' : field.proto.proto3Optional ? 'optional ' : '';
      const type = field.message?.name ?? ScalarType[field.scalar!]!.toLowerCase();
      described.push(`${desc.typeName.replace('schema18.', '')} ${label}${type} ${field.name} ${field.number}`);
    }
    desc.nestedMessages.forEach(describeMessage);
  };
  generated.file_schema18.messages.forEach(describeMessage);
  assert.ok(found.length > 90);
  assert.deepEqual(found.sort(), described.sort());
});

/**
 * Decodes one blob column, and lets nothing pass in silence: the library alone reads a value of the wrong wire type as
 * if it were right, and keeps fields that it does not know out of sight.
 */
import { fromBinary, ScalarType } from '@bufbuild/protobuf';
import type { DescField, DescMessage, MessageShape } from '@bufbuild/protobuf';
import { BinaryReader, WireType } from '@bufbuild/protobuf/wire';
import { Schema18Error } from '../schema18/losses.ts';
import type { Losses } from '../schema18/losses.ts';

/** `where` names the object, as in `deck 1`. Throws Schema18Error; unknown fields go to the losses, as `what: field 7.3`. */
export function decodeBlob<Desc extends DescMessage>(
  desc: Desc,
  bytes: Uint8Array,
  what: string,
  where: string,
  losses: Losses,
): MessageShape<Desc> {
  try {
    checkWire(desc, bytes, (path) => losses.add(`${what}: protobuf field ${path} is newer than this server`, where));
    return fromBinary(desc, bytes, { readUnknownFields: false });
  } catch (error) {
    throw new Schema18Error(`${what} of ${where} is damaged: ${(error as Error).message}`, { cause: error });
  }
}

function checkWire(desc: DescMessage, bytes: Uint8Array, unknown: (path: string) => void): void {
  const reader = new BinaryReader(bytes);
  while (reader.pos < reader.len) {
    const [number, wireType] = reader.tag();
    const field = fieldsByNumber(desc).get(number);
    if (field === undefined) {
      reader.skip(wireType, number);
      unknown(String(number));
      continue;
    }
    const expected = expectedWireType(field);
    if (field.fieldKind === 'list' && field.listKind === 'scalar' && wireType === WireType.LengthDelimited && wireType !== expected) {
      checkPacked(reader.bytes(), expected, number);
    } else if (wireType !== expected) {
      throw new Error(`field ${number} has wire type ${wireType} instead of ${expected}`);
    } else if (field.message !== undefined) {
      checkWire(field.message, reader.bytes(), (path) => unknown(`${number}.${path}`));
    } else {
      reader.skip(wireType, number);
    }
  }
}

function checkPacked(bytes: Uint8Array, wireType: WireType, number: number): void {
  const reader = new BinaryReader(bytes);
  while (reader.pos < reader.len) reader.skip(wireType, number);
}

function expectedWireType(field: DescField): WireType {
  switch (field.scalar) {
    case undefined: // a message
    case ScalarType.STRING:
    case ScalarType.BYTES:
      return WireType.LengthDelimited;
    case ScalarType.FLOAT:
      return WireType.Bit32;
    default: // our messages have no other fixed-size types
      return WireType.Varint;
  }
}

const byNumber = new WeakMap<DescMessage, Map<number, DescField>>();

function fieldsByNumber(desc: DescMessage): Map<number, DescField> {
  let fields = byNumber.get(desc);
  if (fields === undefined) {
    fields = new Map(desc.fields.map((field) => [field.number, field]));
    byNumber.set(desc, fields);
  }
  return fields;
}

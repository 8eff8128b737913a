/** Rows of the tables that schema 15 to 18 has and schema 11 has not. Times in seconds since 1970. */
import { Schema18Error } from './losses.ts';

export interface NotetypeRow {
  id: bigint;
  name: string;
  mtimeSecs: bigint;
  usn: number;
  config: Uint8Array;
}

export interface FieldRow {
  ntid: bigint;
  ord: number;
  name: string;
  config: Uint8Array;
}

export type TemplateRow = FieldRow;

export interface DeckRow {
  id: bigint;
  /** Levels are separated by U+001F. */
  name: string;
  mtimeSecs: bigint;
  usn: number;
  common: Uint8Array;
  kind: Uint8Array;
}

export interface DeckConfigRow {
  id: bigint;
  name: string;
  mtimeSecs: bigint;
  usn: number;
  /** Protobuf; JSON of schema 11 in schema 14. */
  config: Uint8Array;
}

export interface TagRow {
  name: string;
  usn: number;
  /** Shown with its children in the tag tree. Schemas below 17 do not know. */
  expanded: boolean;
  hasConfig: boolean;
}

export interface ConfigRow {
  key: string;
  /** JSON. */
  value: Uint8Array;
}

/** Anki's unique indexes rule these out, so one of them is damaged, and either row could be the right one. */
export function refuseDuplicates<Row>(table: string, column: string, rows: Row[], value: (row: Row) => unknown): void {
  if (new Set(rows.map(value)).size !== rows.length) throw new Schema18Error(`two rows of ${table} have the same ${column}`);
}

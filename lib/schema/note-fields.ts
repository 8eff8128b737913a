/**
 * What Anki makes of an incoming note before it is stored: clients send `sfld` and `csum` empty
 * (rslib: `notes/mod.rs`, `prepare_for_update`).
 */
import { hash } from 'node:crypto';
import { SchemaError } from './schema-error.ts';
import { stripHtmlKeepingMediaNames } from './strip-html.ts';

const FIELD_SEPARATOR = '\x1f';

/** ASCII control characters other than tab, newline and the separator. */
const INVALID_IN_FIELDS = /[\0-\x08\x0b-\x1e\x7f]/g;

export interface PreparedNote {
  /** Joined by U+001F, without ASCII control characters other than newline and tab. */
  fields: string;
  /**
   * Text of the sort field. Store it as text into the column `sfld`, whose affinity is integer on purpose: SQLite keeps
   * what looks like a number as a number, and so sorts it as one.
   */
  sfld: string;
  /** First 32 bits of the SHA-1 of the first field's text. */
  csum: number;
}

/**
 * @param fields joined by U+001F, in UTF-16 without lone surrogates
 * @param sortField index of the notetype's sort field; one that does not exist sorts as empty
 * @param fieldCount fields of the notetype; one without any has notes with one
 * @throws SchemaError when the note has another number of fields than its notetype
 */
export function prepareNote(fields: string, sortField: number, fieldCount: number): PreparedNote {
  const cleaned = fields.replace(INVALID_IN_FIELDS, '');
  const parts = cleaned.split(FIELD_SEPARATOR);
  const expected = Math.max(fieldCount, 1);
  if (parts.length !== expected) throw new SchemaError(`a note has ${parts.length} fields, its notetype ${expected}`);

  const first = stripHtmlKeepingMediaNames(parts[0]!);
  const sfld = sortField === 0 ? first : stripHtmlKeepingMediaNames(parts[sortField] ?? '');
  return { fields: cleaned, sfld, csum: parseInt(hash('sha1', first, 'hex').slice(0, 8), 16) };
}

/**
 * A note's tags as Anki stores them: in the order given, joined by spaces, with a space at both ends; empty without tags.
 * Also the ideographic space separates. Neither case nor doubles are touched on this way (rslib's `From<NoteEntry> for Note`).
 */
export function normalizeNoteTags(tags: string): string {
  const names = tags.split(/[ \u3000]/).filter((name) => name !== '');
  return names.length === 0 ? '' : ` ${names.join(' ')} `;
}

/**
 * From the tables of schema 14 to 18 to the JSON that schema 11 keeps in `col`, as Anki itself writes it when it closes
 * a collection with a downgrade. Pure; reading and writing of the tables is in `storage/sqlite/downgrade.ts`.
 *
 * Source of the rules: Anki's `notetype/schema11.rs`, `decks/schema11.rs`, `deckconfig/schema11.rs` and `storage/upgrades`.
 */
import { parseForAnki } from './schema18/other-keys.ts';
import type { JsonObject } from './schema18/other-keys.ts';
import type { Losses } from './schema18/losses.ts';
import { refuseDuplicates } from './schema18/rows.ts';
import type { ConfigRow, TagRow } from './schema18/rows.ts';

export { deckConfigsFromSchema14, deckConfigsToSchema11 } from './schema18/deck-configs.ts';
export { decksToSchema11 } from './schema18/decks.ts';
export { collectLosses, Schema18Error } from './schema18/losses.ts';
export type { Losses } from './schema18/losses.ts';
export { notetypesToSchema11 } from './schema18/notetypes.ts';
export type { ConfigRow, DeckConfigRow, DeckRow, FieldRow, NotetypeRow, TagRow, TemplateRow } from './schema18/rows.ts';

/** `{name: usn}`. Throws Schema18Error. */
export function tagsToSchema11(rows: TagRow[], losses: Losses): JsonObject {
  refuseDuplicates('tags', 'name', rows, (row) => row.name);
  const expanded = rows.filter((row) => row.expanded).length;
  if (expanded > 0) losses.add('tags: unfolded in the tag tree, folded again in schema 11', `${expanded} tags`);
  const withConfig = rows.filter((row) => row.hasConfig).length;
  if (withConfig > 0) losses.add('tags: settings newer than this server', `${withConfig} tags`);
  return Object.fromEntries(rows.map((row) => [row.name, row.usn]));
}

/**
 * Text of the config map; the values stay as they were written. One that is no JSON is left out and reported: Anki takes its
 * default for it, and Check Database would not mend it. Throws Schema18Error.
 */
export function configToSchema11(rows: ConfigRow[], losses: Losses): string {
  refuseDuplicates('config', 'key', rows, (row) => row.key);
  const entries = rows.flatMap((row) => {
    try {
      return [`${JSON.stringify(row.key)}:${parseForAnki(row.value).text}`];
    } catch {
      losses.add('config: values that are no JSON', row.key.slice(0, 40));
      return [];
    }
  });
  return `{${entries.join(',')}}`;
}

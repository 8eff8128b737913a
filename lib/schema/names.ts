/** Names of decks and notetypes as Anki keeps them: normalised, and each only once (rslib: `decks/name.rs`, `notetype/mod.rs`). */
import { trimEnds } from './trim-ends.ts';
import { unicaseKey } from './unicase.ts';

const ASCII_CONTROL = /[\0-\x1f\x7f]/g;

/**
 * A deck's name as Anki makes it of one that comes in: each level NFC, without ASCII control characters, and without white
 * space and colons at its ends; an empty level is called "blank". This alone does not make a deck count as changed.
 */
export function normalizeDeckName(name: string): string {
  return name.split('::').map(normalizeLevel).join('::');
}

function normalizeLevel(level: string): string {
  return trimEnds(level.normalize('NFC').replace(ASCII_CONTROL, ''), ':') || 'blank';
}

/**
 * Appends `+` until no other object of the kind has the name, compared by `unicase`.
 *
 * @param ownId of the object that wants the name: it may keep what is its own
 * @param taken ids by `unicaseKey` of the name
 * @returns the name, and whether it had to change: then the object counts as modified now, with the usn of this sync
 */
export function uniqueName<Id>(name: string, ownId: Id, taken: ReadonlyMap<string, Id>): { name: string; changed: boolean } {
  const key = unicaseKey(name);
  for (let suffix = ''; ; suffix += '+') {
    const owner = taken.get(key + suffix);
    if (owner === undefined || owner === ownId) return { name: name + suffix, changed: suffix !== '' };
  }
}

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

/** Ids by name: by `unicaseKey` without the `+` at its end, and by how many those are. Thousands of objects may want one name. */
export type TakenNames<Id> = Map<string, Map<number, Id>>;

export function takeName<Id>(taken: TakenNames<Id>, name: string, id: Id): void {
  const { stem, pluses } = partsOf(name);
  const owners = taken.get(stem);
  if (owners === undefined) taken.set(stem, new Map([[pluses, id]]));
  else owners.set(pluses, id);
}

export function releaseName<Id>(taken: TakenNames<Id>, name: string): void {
  const { stem, pluses } = partsOf(name);
  taken.get(stem)?.delete(pluses);
}

/**
 * Appends `+` until no other object of the kind has the name, compared by `unicase`.
 *
 * @param ownId of the object that wants the name: it may keep what is its own
 * @returns the name, and whether it had to change: then the object counts as modified now, with the usn of this sync
 */
export function uniqueName<Id>(name: string, ownId: Id, taken: TakenNames<Id>): { name: string; changed: boolean } {
  const { stem, pluses } = partsOf(name);
  const owners = taken.get(stem);
  for (let more = 0; ; more++) {
    const owner = owners?.get(pluses + more);
    if (owner === undefined || owner === ownId) return { name: name + '+'.repeat(more), changed: more > 0 };
  }
}

function partsOf(name: string): { stem: string; pluses: number } {
  const key = unicaseKey(name);
  let end = key.length;
  while (end > 0 && key[end - 1] === '+') end -= 1;
  return { stem: key.slice(0, end), pluses: key.length - end };
}

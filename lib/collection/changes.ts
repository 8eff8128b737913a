import { SyncError } from '../errors.ts';
import { stringifyLossless, type Json } from '../schema/json.ts';
import { releaseName, takeName, uniqueName, type TakenNames } from '../schema/names.ts';
import type { IncomingNotetype, IncomingObject, UnchunkedChanges } from '../schema/schema11.ts';
import { registerTags } from '../schema/tags.ts';
import { unicaseKey } from '../schema/unicase.ts';
import type { Id, NamedObject, ObjectKind } from '../storage/storage.ts';
import { notetypesOf, storedUsn, type RunningSync } from './running-sync.ts';

/** The nth of many objects of one name gets n times `+`: beyond this, they would not fit into the collection. */
const MAX_ADDED_CHARS = 16 * 1024 ** 2;

/**
 * `applyChanges`: notetypes, decks, presets, tags and config, all in one request.
 * The answer holds what changed here since the client's last sync, gathered before anything of the client is applied.
 * @returns the answer's JSON text; objects are passed on as they rest.
 */
export async function applyChanges(sync: RunningSync, incoming: UnchunkedChanges, nowSecs: number): Promise<string> {
  const answer = await changesForClient(sync);
  sync.moved.up += incoming.notetypes.length + incoming.decks.length + incoming.deckConfigs.length + incoming.tags.length;
  await mergeNotetypes(sync, incoming.notetypes, nowSecs);
  await mergeNamed(sync, 'decks', incoming.decks, nowSecs);
  await mergeDeckConfigs(sync, incoming.deckConfigs);
  if (incoming.tags.length > 0) {
    const names = registerTags(incoming.tags, await sync.store.allTags());
    if (names.length > 0) await sync.store.addTags(names, sync.serverUsn);
  }
  if (incoming.creationSecs !== undefined) await sync.store.setCreationSecs(incoming.creationSecs);
  if (incoming.config !== undefined) await sync.store.setConfig(stringifyLossless(incoming.config));
  return answer;
}

async function changesForClient(sync: RunningSync): Promise<string> {
  const { store, clientUsn } = sync;
  const list = async (kind: ObjectKind): Promise<string> => {
    const objects = await store.pendingObjects(kind, clientUsn);
    sync.moved.down += objects.length;
    return `[${objects.sort(kind === 'notetypes' ? byUsn : byId).map((object) => object.json).join(',')}]`;
  };
  const tags = (await store.pendingTags(clientUsn)).sort(byFoldedName);
  sync.moved.down += tags.length;
  const parts = [
    `"models":${await list('notetypes')}`,
    `"decks":[${await list('decks')},${await list('deckConfigs')}]`,
    `"tags":${JSON.stringify(tags)}`,
  ];
  if (!sync.clientIsNewer) parts.push(`"conf":${await store.config()}`, `"crt":${await store.creationSecs()}`);
  return `{${parts.join(',')}}`;
}

/** The official server's order. It matters: who comes first keeps a name that two objects claim. */
function byId(a: NamedObject, b: NamedObject): number {
  return a.id < b.id ? -1 : a.id > b.id ? 1 : 0;
}

/** Likewise, of notetypes: the official server finds them by an index of `usn`, which its decks and presets do not have. */
function byUsn(a: NamedObject, b: NamedObject): number {
  return a.usn - b.usn || byId(a, b);
}

/** Likewise: the first of two tags that differ by case decides how parents are written. By code points, as Anki compares. */
function byFoldedName(a: string, b: string): number {
  return Buffer.compare(Buffer.from(unicaseKey(a)), Buffer.from(unicaseKey(b)));
}

/** The incoming one wins when its mtime is equal or newer, whether or not ours is pending. */
function wins(incoming: IncomingObject, ours: { mtimeSecs: number } | undefined): boolean {
  return ours === undefined || ours.mtimeSecs <= incoming.mtimeSecs;
}

async function mergeNotetypes(sync: RunningSync, incoming: IncomingNotetype[], nowSecs: number): Promise<void> {
  if (incoming.length === 0) return;
  const shapes = await notetypesOf(sync);
  for (const notetype of incoming) {
    const ours = shapes.get(String(notetype.id));
    if (ours === undefined || !wins(notetype, ours)) continue;
    if (ours.fieldCount !== notetype.fieldCount || ours.templateCount !== notetype.templateCount) {
      throw new SyncError('NOTETYPE_CHANGED', 'a notetype has another number of fields or card types: a full sync is needed');
    }
  }
  await mergeNamed(sync, 'notetypes', incoming, nowSecs);
  delete sync.notetypes;
}

/** Names stay unique: a newcomer whose name is taken, compared as Anki compares names, gets a `+` and counts as changed now. */
async function mergeNamed(sync: RunningSync, kind: 'notetypes' | 'decks', incoming: IncomingObject[], nowSecs: number): Promise<void> {
  if (incoming.length === 0) return;
  const stamps = new Map((await sync.store.objectStamps(kind)).map((stamp) => [String(stamp.id), stamp]));
  let addedChars = 0;
  // made at the first change of a name: most syncs only bring new numbers of a deck or two
  let taken: TakenNames<Id> | undefined;
  const winners: NamedObject[] = [];
  for (const object of incoming) {
    const ours = stamps.get(String(object.id));
    if (!wins(object, ours)) continue;
    let stored = named(sync, object);
    if (object.name !== ours?.name) {
      taken ??= takenNames(stamps.values());
      if (ours !== undefined) releaseName(taken, ours.name);
      const { name, changed } = uniqueName(object.name, object.id, taken);
      addedChars += name.length - object.name.length;
      if (addedChars > MAX_ADDED_CHARS) throw new SyncError('STEP_FAILED', 'too many objects of one name');
      if (changed) {
        stored = named(sync, { ...object, name, mtimeSecs: nowSecs, usn: sync.serverUsn, object: { ...object.object, name, mod: nowSecs } });
      }
      takeName(taken, name, object.id);
    }
    stamps.set(String(object.id), stored);
    winners.push(stored);
  }
  await sync.store.putObjects(kind, winners);
}

function takenNames(stamps: Iterable<{ id: Id; name: string }>): TakenNames<Id> {
  const taken: TakenNames<Id> = new Map();
  for (const stamp of stamps) takeName(taken, stamp.name, stamp.id);
  return taken;
}

async function mergeDeckConfigs(sync: RunningSync, incoming: IncomingObject[]): Promise<void> {
  if (incoming.length === 0) return;
  const stamps = new Map((await sync.store.objectStamps('deckConfigs')).map((stamp) => [String(stamp.id), stamp]));
  await sync.store.putObjects('deckConfigs', incoming.filter((object) => wins(object, stamps.get(String(object.id)))).map((object) => named(sync, object)));
}

function named(sync: RunningSync, object: IncomingObject): NamedObject {
  const usn = storedUsn(sync, object.usn);
  return { id: object.id, name: object.name, mtimeSecs: object.mtimeSecs, usn, json: stringifyLossless({ ...object.object, usn } as Json) };
}

/**
 * Bugs planted in a copy of the server, to prove that the random rounds find them. Nothing of this is in `lib`: a plant is a change of
 * text, made in a copy of the sources that is thrown away afterwards.
 */
import { cp, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../../../', import.meta.url));

export interface Plant {
  name: string;
  file: string;
  /** Occurs exactly once in the file. */
  find: string;
  replace: string;
}

export const PLANTS: Plant[] = [
  {
    name: 'graves of a client are ignored',
    file: 'lib/collection/graves.ts',
    find: 'await sync.store.applyGraves(graves, sync.serverUsn);',
    replace: 'void [sync, graves];',
  },
  {
    name: 'an older edit of a note or card wins',
    file: 'lib/storage/sqlite/collection-session.ts',
    find: 'AND mod >= ?)',
    replace: 'AND mod > ? + 1000000)',
  },
  {
    name: 'what does not fit into the first chunk is lost',
    file: 'lib/collection/chunks.ts',
    find: 'let done = left > 0;',
    replace: 'let done = true;',
  },
  {
    name: 'new tags of a client are lost',
    file: 'lib/collection/changes.ts',
    find: 'if (names.length > 0) await sync.store.addTags(names, sync.serverUsn);',
    replace: 'void names;',
  },
  {
    name: 'unknown keys of notetypes, decks and presets are dropped',
    file: 'lib/collection/changes.ts',
    find: 'json: stringifyLossless({ ...object.object, usn } as Json) };',
    replace: "json: stringifyLossless({ ...Object.fromEntries(Object.entries(object.object).filter(([key]) => !key.startsWith('x'))), usn } as Json) };",
  },
  {
    name: 'a deleted media file does not raise the usn',
    file: 'lib/storage/sqlite/media.ts',
    find: "this.#setEntry.run(change.name, Buffer.from(old.sha1, 'hex'), 0, ++lastUsn, mtimeSecs);",
    replace: "this.#setEntry.run(change.name, Buffer.from(old.sha1, 'hex'), 0, lastUsn, mtimeSecs);",
  },
  {
    name: 'an older deck, notetype or preset wins',
    file: 'lib/collection/changes.ts',
    find: 'return ours === undefined || ours.mtimeSecs <= incoming.mtimeSecs;',
    replace: 'return ours === undefined || ours.mtimeSecs <= incoming.mtimeSecs + 1000000;',
  },
  {
    name: 'config of a client is merged into ours',
    file: 'lib/collection/changes.ts',
    find: 'await sync.store.setConfig(stringifyLossless(incoming.config));',
    replace: 'await sync.store.setConfig(stringifyLossless({ ...(JSON.parse(await sync.store.config()) as object), ...(incoming.config as object) } as Json));',
  },
  {
    name: 'the sort field keeps its HTML',
    file: 'lib/collection/chunks.ts',
    find: 'row[NOTE.sfld] = sfld;',
    replace: "row[NOTE.sfld] = sfld && fields.split('\\u001f')[sortField]!;",
  },
  {
    name: 'two decks or notetypes may have one name',
    file: 'lib/collection/changes.ts',
    find: 'const { name, changed } = uniqueName(object.name, object.id, taken);',
    replace: 'const { name, changed } = uniqueName(object.name, object.id, new Map());',
  },
  {
    name: 'reviews that come again replace ours',
    file: 'lib/storage/sqlite/collection-session.ts',
    find: 'ON CONFLICT (id) DO NOTHING`',
    replace: "${kind === 'revlog' ? 'ON CONFLICT (id) DO UPDATE SET usn = excluded.usn, ease = excluded.ease, time = excluded.time' : 'ON CONFLICT (id) DO NOTHING'}`",
  },
  {
    name: 'a sync that broke before its end is kept',
    file: 'lib/storage/sqlite/collection-session.ts',
    find: "if (this.#db.inTransaction) this.#db.exec('ROLLBACK');\n    } finally",
    replace: "if (this.#db.inTransaction) this.#db.exec('COMMIT');\n    } finally",
  },
  {
    name: 'of two edits within one second the later to arrive wins',
    file: 'lib/storage/sqlite/collection-session.ts',
    find: 'AND mod >= ?)',
    replace: 'AND mod > ?)',
  },
  {
    name: 'cards of an earlier day stay buried',
    file: 'lib/collection/start.ts',
    find: 'await store.unburyCards();',
    replace: '',
  },
  {
    name: 'of two decks, notetypes or presets changed within one second ours wins',
    file: 'lib/collection/changes.ts',
    find: 'return ours === undefined || ours.mtimeSecs <= incoming.mtimeSecs;',
    replace: 'return ours === undefined || ours.mtimeSecs < incoming.mtimeSecs;',
  },
];

/** A copy of the project with one bug more; `remove` takes it away. */
export async function plantedCopy(plant: Plant): Promise<{ root: string; remove(): Promise<void> }> {
  const root = await mkdtemp(join(tmpdir(), 'anki-planted-'));
  const remove = (): Promise<void> => rm(root, { recursive: true, force: true });
  try {
    for (const name of ['lib', 'adapters', 'package.json']) await cp(join(ROOT, name), join(root, name), { recursive: true });
    await symlink(join(ROOT, 'node_modules'), join(root, 'node_modules'));
    await writeFile(join(root, plant.file), planted(await readFile(join(root, plant.file), 'utf8'), plant));
    return { root, remove };
  } catch (error) {
    await remove();
    throw error;
  }
}

/** @throws where the server's text has moved on, so that a plant is never tried in vain. */
export function planted(source: string, plant: Plant): string {
  if (source.split(plant.find).length !== 2) throw new Error(`${plant.file} has not exactly one place to plant "${plant.name}"`);
  return source.replace(plant.find, () => plant.replace);
}

export async function checkPlants(): Promise<void> {
  for (const plant of PLANTS) planted(await readFile(join(ROOT, plant.file), 'utf8'), plant);
}

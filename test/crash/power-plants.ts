/**
 * Durability taken out of a copy of the server, one place at a time: what a loss of power then takes must be found. The places
 * are those in which `lib` makes something durable; each names the story in which it counts.
 *
 * Not among them, since nothing is lost without: `prepareUpload`'s own fsync, and that of `replaceFile` for what SQLite has written and
 * synced a moment ago. The latter counts for copies across file systems, which cannot be played in one folder.
 */
import type { Plant } from '../oracle/random/plants.ts';

export interface PowerPlant extends Plant {
  /** A story of `stories.ts`, or a command of `power-commands.ts`, by its name. */
  story: string;
}

const DURABLE = 'lib/storage/files/durable.ts';
const SYNC = 'a normal sync, after which the server stops';
const UPLOAD = 'a full upload of schema 18 over another collection';
const MEDIA_UPLOAD = 'a media upload, after which the server stops';
const LOGIN = 'a first login, and the first look';
const IMPORT = 'import of an old server';
const BACKUP = 'backup into a folder';

export const POWER_PLANTS: PowerPlant[] = [
  {
    name: 'commits of a collection are not synced',
    file: 'lib/storage/sqlite/collection-file.ts',
    find: "db.pragma('synchronous = FULL');",
    replace: "db.pragma('synchronous = NORMAL');",
    story: SYNC,
  },
  {
    name: 'commits of a media index are not synced',
    file: 'lib/storage/sqlite/media.ts',
    find: "db.pragma('journal_mode = WAL');\n    db.pragma('synchronous = FULL');",
    replace: "db.pragma('journal_mode = WAL');\n    db.pragma('synchronous = NORMAL');",
    story: MEDIA_UPLOAD,
  },
  {
    name: 'host keys are not synced',
    file: 'lib/auth/users-schema.ts',
    find: "db.pragma('synchronous = FULL');",
    replace: "db.pragma('synchronous = NORMAL');",
    story: LOGIN,
  },
  {
    name: 'a file that was renamed into its place has no durable name',
    file: DURABLE,
    find: '  renameSync(from, to);\n  syncFolder(dirname(to));',
    replace: '  renameSync(from, to);',
    story: UPLOAD,
  },
  {
    name: 'folders that are made have no durable name',
    file: DURABLE,
    find: '  for (const folder of missing) syncFolder(dirname(folder));',
    replace: '',
    story: LOGIN,
  },
  {
    name: 'a snapshot has no durable name',
    file: 'lib/storage/sqlite/snapshots.ts',
    find: '  keep(path, target);\n  syncFolder(folder);',
    replace: '  keep(path, target);',
    story: UPLOAD,
  },
  {
    name: 'staged media are not durable',
    file: 'lib/storage/files/staged-log.ts',
    find: 'if (whole.length <= SYNC_AT_ONCE_BYTES) fdatasyncSync(descriptor);',
    replace: 'if (whole.length <= SYNC_AT_ONCE_BYTES) void fdatasyncSync;',
    story: MEDIA_UPLOAD,
  },
  {
    name: 'staged media have no durable names',
    file: 'lib/storage/files/staged-log.ts',
    find: 'if (start === 0) syncFolder(this.#folder);',
    replace: 'void syncFolder;',
    story: MEDIA_UPLOAD,
  },
  {
    name: 'media files come to their places before their contents are durable',
    file: 'lib/storage/files/staged-copies.ts',
    find: 'synced(target).finally',
    replace: 'Promise.resolve(void synced).finally',
    story: MEDIA_UPLOAD,
  },
  {
    name: 'media files have no durable names before the staged ones are dropped',
    file: 'lib/storage/files/folder.ts',
    find: 'for (const folder of touched) syncFolder(folder);',
    replace: '',
    story: MEDIA_UPLOAD,
  },
  {
    name: "an imported user's folder is renamed before what is in it is durable",
    file: 'lib/import/import.ts',
    find: "  syncFolder(join(home, 'media'));\n  syncFolder(home);\n",
    replace: '',
    story: IMPORT,
  },
  {
    name: "an imported user's folder has no durable name",
    file: 'lib/import/import.ts',
    find: '  syncFolder(base);\n  const added',
    replace: '  const added',
    story: IMPORT,
  },
  {
    name: 'imported media are not durable',
    file: 'lib/import/old-media.ts',
    find: 'await syncFiles(some.map(({ name }) => join(to, name)));',
    replace: '',
    story: IMPORT,
  },
  {
    name: 'names of files in a backup are not durable',
    file: 'lib/backup/backup.ts',
    find: '    syncFoldersBelow(work);\n',
    replace: '',
    story: BACKUP,
  },
  {
    name: 'a backup has no durable name',
    file: 'lib/backup/backup.ts',
    find: '    syncFolder(dirname(to));\n    return manifest;',
    replace: '    return manifest;',
    story: BACKUP,
  },
  {
    name: 'media files in a backup are not durable',
    file: 'lib/backup/media.ts',
    find: 'await syncFiles(written);',
    replace: '',
    story: BACKUP,
  },
];

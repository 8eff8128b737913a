import { hash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { FileRange } from '../storage.ts';
import { readStagedLog } from './staged-log.ts';

/** Where a user's media files lie, as `FolderMediaFiles` lays them out, for readers that change nothing. */
export interface MediaPlaces {
  /** Names of the files in `media/`. */
  readonly plain: ReadonlySet<string>;
  /** Whether the bytes are uploaded, and wait to be brought to their place. */
  isStaged(name: string, sha1: string): boolean;
  /** The bytes of an indexed name, or null when they are gone. */
  find(name: string, sha1: string): FileRange | null;
}

export function mediaPlaces(userFolder: string): MediaPlaces {
  const own = join(userFolder, '.anki-sync-media');
  const plain = new Set(namesIn(join(userFolder, 'media')));
  const mapped = new Set(namesIn(join(own, 'mapped')));
  const staged = stagedIn(join(own, 'staged'));
  return {
    plain,
    isStaged: (name, sha1) => staged.has(`${sha1}/${name}`),
    find(name, sha1) {
      const waiting = staged.get(`${sha1}/${name}`);
      if (waiting !== undefined) return waiting;
      const mappedName = hash('sha1', name);
      if (!mapped.has(mappedName) && !plain.has(name)) return null;
      const path = mapped.has(mappedName) ? join(own, 'mapped', mappedName) : join(userFolder, 'media', name);
      const stat = statSync(path, { throwIfNoEntry: false });
      return stat === undefined ? null : { path, offset: 0, bytes: stat.size };
    },
  };
}

/** Whether anything may wait to be brought to its place. */
export async function hasStagedMedia(userFolder: string): Promise<boolean> {
  const names = await readdir(join(userFolder, '.anki-sync-media', 'staged')).catch(() => []);
  return names.length > 0;
}

function stagedIn(folder: string): Map<string, FileRange> {
  const found = new Map<string, FileRange>();
  for (const list of namesIn(folder)) {
    try {
      if (list.endsWith('.log')) {
        for (const { name, sha1, ...range } of readStagedLog(join(folder, list))) found.set(`${sha1}/${name}`, range);
      }
      if (!list.endsWith('.json')) continue;
      const entries = JSON.parse(readFileSync(join(folder, list), 'utf8')) as ({ name: string; sha1: string; pack: string } & FileRange)[];
      for (const { name, sha1, pack, offset, bytes } of entries) {
        if (existsSync(join(folder, pack))) found.set(`${sha1}/${name}`, { path: join(folder, pack), offset, bytes });
      }
    } catch (error) {
      // a list that was not finished was never relied on; one that is gone was settled meanwhile
      if (!(error instanceof SyntaxError) && (error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    }
  }
  return found;
}

function namesIn(folder: string): string[] {
  return existsSync(folder) ? readdirSync(folder) : [];
}

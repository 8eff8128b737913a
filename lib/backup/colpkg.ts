/**
 * A user's collection as Anki takes it by File > Import: a `.colpkg`, in the form of rslib's `package/meta.rs` for "Legacy2": schema 11 in
 * `collection.anki21`, media under numbers, and `media` with their names. Every Anki since 2.1 reads it.
 */
import { createReadStream } from 'node:fs';
import type { Readable } from 'node:stream';
import yazl from 'yazl';
import { mediaPlaces } from '../storage/files/media-places.ts';
import { indexedFiles } from './media.ts';

export interface ColpkgContents {
  /** A copy that nobody has open. */
  collectionPath: string;
  /** Left out: cards alone. */
  media?: {
    /** A copy of `media.db`; none where there is no such file. */
    indexPath: string;
    userFolder: string;
  };
}

/** The zip, as it is read. Media that are lost, or were replaced since the copy was made, are left out. */
export function colpkg({ collectionPath, media }: ColpkgContents): Readable {
  const zip = new yazl.ZipFile();
  zip.addFile(collectionPath, 'collection.anki21', { compress: true });
  const names: Record<string, string> = {};
  if (media !== undefined) {
    const places = mediaPlaces(media.userFolder);
    let number = 0;
    for (const { name, sha1, bytes } of indexedFiles(media.indexPath)) {
      const range = places.find(name, sha1);
      if (range === null || range.bytes !== bytes) continue;
      const { path, offset } = range;
      zip.addReadStreamLazy(String(number), { compress: false, size: bytes }, (opened) => {
        opened(null, createReadStream(path, { start: offset, end: offset + bytes - 1 }));
      });
      names[String(number)] = name;
      number += 1;
    }
  }
  zip.addBuffer(Buffer.from(JSON.stringify(names)), 'media');
  zip.end();
  return zip.outputStream as Readable;
}

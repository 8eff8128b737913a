import { createHash } from 'node:crypto';
import { closeSync, openSync, readSync, writeSync } from 'node:fs';
import type { FileRange } from '../storage.ts';

/** Copies bytes to a new file, or only reads them where `to` is null; answers their SHA-1, or null when the file ends early. */
export function copyRange({ path, offset, bytes }: FileRange, to: string | null): string | null {
  const digest = createHash('sha1');
  const chunk = Buffer.allocUnsafe(Math.min(1024 * 1024, Math.max(1, bytes)));
  const source = openSync(path, 'r');
  try {
    const target = to === null ? null : openSync(to, 'wx');
    try {
      for (let done = 0; done < bytes; ) {
        const read = readSync(source, chunk, 0, Math.min(chunk.length, bytes - done), offset + done);
        if (read === 0) return null;
        const part = chunk.subarray(0, read);
        digest.update(part);
        if (target !== null) for (let written = 0; written < read; ) written += writeSync(target, part, written);
        done += read;
      }
    } finally {
      if (target !== null) closeSync(target);
    }
  } finally {
    closeSync(source);
  }
  return digest.digest('hex');
}

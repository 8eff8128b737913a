/** Bytes of a body on their way to disk, and what a disk that is full or fails is called. */
import type { FileHandle } from 'node:fs/promises';
import { SyncError } from '../errors.ts';
import { isFailingDisk, isFullDisk } from '../full-disk.ts';

export async function writeAll(file: FileHandle, pieces: Uint8Array[]): Promise<void> {
  try {
    let left = pieces;
    for (;;) {
      let { bytesWritten } = await file.writev(left);
      const rest: Uint8Array[] = [];
      for (const piece of left) {
        if (bytesWritten < piece.length) rest.push(piece.subarray(bytesWritten));
        bytesWritten = Math.max(0, bytesWritten - piece.length);
      }
      if (rest.length === 0) return;
      left = rest;
    }
  } catch (error) {
    throw diskError(error);
  }
}

export function diskError(error: unknown): unknown {
  if (isFullDisk(error)) return new SyncError('DISK_FULL', 'no space left', { cause: error, retryAfterSecs: 60 });
  if (isFailingDisk(error)) return new SyncError('STORAGE_FAILED', 'the disk cannot be read or written', { cause: error, detail: String(error) });
  return error;
}

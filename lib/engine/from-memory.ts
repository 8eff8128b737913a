/** Small collections leave from memory: opening, reading and removing a file costs six trips to the thread pool, as long as packing half a megabyte. */
import { closeSync, fstatSync, openSync } from 'node:fs';
import { removeFile } from '../storage/files/durable.ts';
import { readFully } from '../storage/files/read-fully.ts';
import type { ExportedFile } from '../storage/storage.ts';
import type { Answer } from './calls.ts';

const MAX_BYTES = 4 * 1024 * 1024;

/** The file as an answer: itself, or, of a small one, its bytes; it is removed then. */
export function exportedAnswer(file: ExportedFile): Answer {
  if (file.bytes > MAX_BYTES) return { kind: 'file', ...file };
  try {
    return { kind: 'bytes', data: readWhole(file) };
  } finally {
    forget(file.path);
  }
}

/** What a failing disk keeps is no reason to fail a download: the next start removes it. */
function forget(path: string): void {
  try {
    removeFile(path);
  } catch {
    // as said
  }
}

/** In memory of its own, which may move to the main side. At once: it was written a moment ago, so the system still has it. */
function readWhole({ path, bytes }: ExportedFile): Uint8Array {
  const data = new Uint8Array(bytes);
  const fd = openSync(path, 'r');
  try {
    const { size } = fstatSync(fd);
    if (size !== bytes) throw new Error(`a file to be sent has ${size} bytes instead of ${bytes}`);
    if (!readFully(fd, data, 0)) throw new Error('a file became shorter while it was read');
  } finally {
    closeSync(fd);
  }
  return data;
}

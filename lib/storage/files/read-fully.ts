import { readSync } from 'node:fs';

/** Fills `place` with what stands at `position` of an open file, at once. False when the file ends early. */
export function readFully(descriptor: number, place: Uint8Array, position: number): boolean {
  for (let done = 0; done < place.length; ) {
    const bytes = readSync(descriptor, place, done, place.length - done, position + done);
    if (bytes === 0) return false;
    done += bytes;
  }
  return true;
}

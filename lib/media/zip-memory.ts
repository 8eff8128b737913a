/**
 * Memory for the zips that clients download, used again: to get some MiB from the system for each, and give them back, takes as long
 * as to pack them. A zip that is made while another holds it gets memory of its own.
 */
let kept: ArrayBuffer | undefined;

const LEAST_BYTES = 3 * 1024 * 1024;

export function takeZipMemory(bytes: number): Uint8Array<ArrayBuffer> {
  const memory = kept !== undefined && kept.byteLength >= bytes ? kept : Buffer.allocUnsafeSlow(Math.max(bytes, LEAST_BYTES)).buffer;
  kept = undefined;
  return new Uint8Array(memory, 0, bytes);
}

/** Called when nobody looks at the zip any more; of one that moved to another thread, nothing is left to keep. */
export function giveZipMemoryBack({ buffer }: Uint8Array<ArrayBuffer>): void {
  if (!buffer.detached && buffer.byteLength >= (kept?.byteLength ?? 0)) kept = buffer;
}

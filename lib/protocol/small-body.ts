/** A body that is small enough for memory, as most media zips are. */
import { limitsOf, MAX_SMALL_ZIP_BYTES, type BodyLimits } from './body-limits.ts';
import { openBody, type BodySource } from './body-source.ts';
import { GatheredBytes } from './gathered-bytes.ts';
import type { SyncRequest } from './request.ts';
import { unpack } from './unpack.ts';
import { walkFrames } from './zstd-frames.ts';

/** In memory at once. */
const MAX_SMALL_BODIES = 8;
let smallBodies = 0;

/**
 * Receives and unpacks a body in memory if it is small, sound, zstd, and not too many others are in memory already. Any other is left to
 * `receiveBody`, which takes what was read so far from `begun`, and finds what is wrong with it.
 *
 * Throws BODY_TOO_LARGE, ClientGone.
 */
export async function receiveSmallBody(
  request: SyncRequest,
  limits: BodyLimits,
): Promise<{ bytes: Uint8Array } | { bytes?: undefined; begun: BodySource }> {
  const { maxPackedBytes, maxUnpackedBytes } = limitsOf(request.spec.bodyClass, limits);
  const source = openBody(request.body, maxPackedBytes);
  if ((request.body.packing ?? 'zstd') !== 'zstd' || smallBodies >= MAX_SMALL_BODIES) return { begun: source };
  smallBodies += 1;
  const gathered = new GatheredBytes();
  try {
    const walker = walkFrames({ maxUnpackedBytes });
    let frameBytes = 0;
    for (let chunk = await source.next(); chunk !== null; chunk = await source.next()) {
      frameBytes += walker.push(chunk);
      gathered.add(chunk);
      const isSmall = gathered.bytes <= MAX_SMALL_ZIP_BYTES && walker.atMostBytes <= MAX_SMALL_ZIP_BYTES;
      if (!isSmall || walker.fault !== null) return { begun: startingWith(gathered.take(), source) };
    }
    if (walker.end() === null) {
      const unpacked = await unpack(gathered.whole().subarray(0, frameBytes), walker, maxUnpackedBytes).catch(() => undefined);
      if (unpacked !== undefined && unpacked.length > 0) return { bytes: unpacked };
    }
    return { begun: startingWith(gathered.take(), source) };
  } catch (error) {
    source.discard();
    throw error;
  } finally {
    gathered.release();
    smallBodies -= 1;
  }
}

/** The bytes that were read already, and then the rest. */
function startingWith(pieces: Uint8Array[], rest: BodySource): BodySource {
  let unread = pieces.reduce((sum, { length }) => sum + length, 0);
  return {
    async next() {
      const piece = pieces.shift();
      if (piece === undefined) return rest.next();
      unread -= piece.length;
      return piece;
    },
    get readBytes() {
      return rest.readBytes - unread;
    },
    discard: () => rest.discard(),
  };
}

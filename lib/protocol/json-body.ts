/** JSON bodies, unpacked into memory. */
import { isUtf8 } from 'node:buffer';
import { SyncError } from '../errors.ts';
import { limitsOf, type BodyLimits } from './body-limits.ts';
import { bufferOf, openBody } from './body-source.ts';
import { decodingError } from './decoding-errors.ts';
import type { SyncRequest } from './request.ts';
import { ungzip, unpack } from './unpack.ts';
import { rawContent, walkFrames, walkNothing, type FrameWalker } from './zstd-frames.ts';

/**
 * Reads and unpacks a body into memory, and checks that it is UTF-8. Parsing is the reader's.
 *
 * Throws BODY_NOT_ZSTD, BODY_TRUNCATED, BODY_TRAILING_DATA, BODY_SIZE_WRONG, BODY_INVALID, BODY_NOT_JSON (400),
 * BODY_TOO_LARGE (413), AUTH_EXPECTED (400, a login without a body), ClientGone.
 */
export async function readJsonBody(request: SyncRequest, limits: BodyLimits): Promise<Buffer> {
  const { maxPackedBytes, maxUnpackedBytes } = limitsOf(request.spec.bodyClass, limits);
  const { packing, bytes } = request.body;
  const arrived = await bytes?.arrived?.();
  const isRaw = arrived !== undefined && (packing ?? 'zstd') === 'zstd' && arrived.length <= Math.min(maxPackedBytes, maxUnpackedBytes);
  const raw = isRaw ? rawContent(arrived) : undefined;
  const json = raw === undefined ? await readPacked(request, arrived, maxPackedBytes, maxUnpackedBytes) : bufferOf(raw);
  if (!isUtf8(json)) throw new SyncError('BODY_NOT_JSON', 'the body is not UTF-8');
  return json;
}

/** For methods without input, which are sent `{}` or, by clients in Rust, `{"_pad":null}`. An unknown field is refused as the official server does, since it may mean something. */
export async function readEmptyBody(request: SyncRequest, limits: BodyLimits): Promise<void> {
  const text = (await readJsonBody(request, limits)).toString();
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new SyncError('BODY_NOT_JSON', 'the body is not JSON');
  }
  if (typeof value !== 'object' || value === null || Object.keys(value).some((key) => key !== '_pad')) {
    throw new SyncError('BODY_INVALID', 'the method takes no input');
  }
}

async function readPacked(
  request: SyncRequest,
  arrived: Uint8Array | undefined,
  maxPackedBytes: number,
  maxUnpackedBytes: number,
): Promise<Buffer> {
  const { packing } = request.body;
  const { packed, walker } = await collect(request, arrived, maxPackedBytes, maxUnpackedBytes);
  try {
    if (packing === 'none') return packed;
    if (packing === 'gzip') return await ungzip(packed, maxUnpackedBytes);
    return await unpack(packed, walker, maxUnpackedBytes);
  } catch (error) {
    throw decodingError(error);
  }
}

/** The whole body as it came; of zstd, the first frame. */
async function collect(
  request: SyncRequest,
  arrived: Uint8Array | undefined,
  maxPackedBytes: number,
  maxUnpackedBytes: number,
): Promise<{ packed: Buffer; walker: FrameWalker }> {
  const source = openBody(request.body, maxPackedBytes, arrived);
  const walker = (request.body.packing ?? 'zstd') === 'zstd' ? walkFrames({ maxUnpackedBytes }) : walkNothing(maxUnpackedBytes);
  const pieces: Uint8Array[] = [];
  try {
    for (;;) {
      const chunk = await source.next();
      if (chunk === null) break;
      const bytes = walker.push(chunk);
      if (walker.fault !== null) throw walker.fault;
      if (bytes > 0) pieces.push(bytes === chunk.length ? chunk : chunk.subarray(0, bytes));
    }
    // the words of the official server to a login without credentials
    if (source.readBytes === 0 && !request.spec.needsHostKey) throw new SyncError('AUTH_EXPECTED', 'expected auth');
    const fault = walker.end();
    if (fault !== null) throw fault;
  } catch (error) {
    source.discard();
    throw error;
  }
  return { packed: pieces.length === 1 ? bufferOf(pieces[0]!) : Buffer.concat(pieces), walker };
}

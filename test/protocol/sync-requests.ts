/** Requests as an adapter hands them over, cut into pieces as the test wants. */
import { DEFAULT_BODY_LIMITS } from '../../lib/protocol/body-limits.ts';
import { FormSpool } from '../../lib/protocol/form-spool.ts';
import { openSyncRequest, type FormRoom, type SyncRequest } from '../../lib/protocol/request.ts';
import { routeOf } from '../../lib/protocol/route.ts';

export const SYNC_HEADER = '{"v":11,"k":"key","c":"anki,26.09.3 (test),lin:12","s":"session"}';

/** For requests that are no forms, or whose data stays in memory. */
export const NO_FILES: FormRoom = {
  limits: DEFAULT_BODY_LIMITS,
  spool: new FormSpool({
    maxBytes: DEFAULT_BODY_LIMITS.maxPackedBytes,
    newPath: () => {
      throw new Error('no file is needed here');
    },
  }),
};

export async function* inPieces(bytes: Uint8Array, pieceBytes: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += pieceBytes) yield bytes.subarray(at, at + pieceBytes);
}

export async function* pieces(...all: Uint8Array[]): AsyncGenerator<Uint8Array> {
  yield* all;
}

/** A request of `/sync/<method>` or, with a slash, of any path. */
export async function syncRequest(
  method: string,
  body: AsyncIterable<Uint8Array> | null,
  headers: Record<string, string> = {},
): Promise<SyncRequest> {
  const url = method.includes('/') ? method : `/sync/${method}`;
  const route = routeOf('POST', url);
  if (route.kind !== 'sync' && route.kind !== 'media') throw new Error(`${url} is no sync method`);
  return openSyncRequest({ method: 'POST', url, headers: { 'anki-sync': SYNC_HEADER, ...headers }, body }, route, NO_FILES);
}

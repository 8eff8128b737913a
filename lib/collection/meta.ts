import { SyncError } from '../errors.ts';
import { overQuotaWords } from '../plain-words.ts';
import type { CollectionMeta } from '../storage/storage.ts';

const MIN_VERSION = 8;
const MAX_VERSION = 11;
const V2_SCHEDULER_VERSION = 9;
const V2_TIMEZONE_VERSION = 10;

/** The answer to `meta`, in the keys of the wire. `ts` in seconds, `mod` and `scm` in milliseconds. */
export interface SyncMeta {
  mod: number;
  scm: number;
  usn: number;
  ts: number;
  msg: string;
  cont: boolean;
  /** AnkiWeb's; always 0 here. */
  hostNum: 0;
  empty: boolean;
  /** Required by clients from 23.10 on. */
  media_usn: number;
}

/** Other steps alone change it. */
export interface MetaSource {
  collection: CollectionMeta;
  mediaUsn: number;
}

/**
 * @param syncVersion `v` of the body, which may be lower than that of the envelope.
 * @param maxBytes above this, the person is told; the sync goes on.
 * @throws SyncError CLIENT_TOO_OLD for versions we do not speak: old clients know the words of a 501.
 */
export function metaAnswer({ collection, mediaUsn }: MetaSource, syncVersion: number, nowMillis: number, maxBytes = Infinity): SyncMeta {
  if (syncVersion < MIN_VERSION || syncVersion > MAX_VERSION) {
    throw new SyncError('CLIENT_TOO_OLD', 'unsupported sync version', { detail: `sync version ${syncVersion}` });
  }
  let msg = '';
  if (collection.v2Scheduler && syncVersion < V2_SCHEDULER_VERSION) {
    msg = 'Your client does not support the v2 scheduler';
  } else if (collection.v2Timezone && syncVersion < V2_TIMEZONE_VERSION) {
    msg = 'Your client does not support the new timezone handling.';
  }
  const cont = msg === '';
  const { bytes = 0 } = collection;
  if (cont && bytes > maxBytes) msg = overQuotaWords(bytes, maxBytes);
  return {
    mod: collection.modifiedMillis,
    scm: collection.schemaModifiedMillis,
    usn: collection.usn,
    ts: Math.floor(nowMillis / 1000),
    msg,
    cont,
    hostNum: 0,
    empty: collection.empty,
    media_usn: mediaUsn,
  };
}

/** For the log: how large a collection is that is larger than that. */
export function overQuota({ collection: { bytes = 0 } }: MetaSource, maxBytes = Infinity): { overQuotaBytes?: number } {
  return bytes > maxBytes ? { overQuotaBytes: bytes } : {};
}

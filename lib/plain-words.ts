import type { ErrorCode, SyncError } from './errors.ts';

/**
 * What a person reads in Anki when the server's disk is at fault, or when whoever runs it wants no syncs now. To a status of 500 or more clients say "AnkiWeb encountered a
 * problem. Please try again in a few minutes", which is wrong twice.
 */
const WORDS: Partial<Record<ErrorCode, string>> = {
  COLLECTION_DAMAGED: 'Your collection on the sync server is damaged. Your cards on this device are fine. Please tell whoever runs the server: its log says how to bring the collection back.',
  STORAGE_FAILED: 'The sync server cannot read or write its disk. Your cards on this device are fine. Please tell whoever runs the server.',
  DISK_FULL: 'The disk of the sync server is full. Your cards on this device are fine. Please tell whoever runs the server.',
  MEDIA_INDEX_DAMAGED: 'The index of your media on the sync server is damaged. Your files on this device are fine. Please tell whoever runs the server.',
  UPSTREAM_UNREACHABLE: 'The sync server behind this address cannot be reached. Your cards on this device are fine. Please try again later, or tell whoever runs it.',
  UPSTREAM_SLOW: 'The sync server behind this address does not answer. Your cards on this device are fine. Please try again later, or tell whoever runs it.',
  UPSTREAM_REFUSED: 'You are signed in, but the sync server behind this address does not know you. Please tell whoever runs it: the log says more.',
  MEDIA_FOLDER_MISSING: 'Your media folder on the sync server is missing or empty. Your files on this device are fine. Please tell whoever runs the server.',
};

/** For a person whose collection or media are larger than the operator allows. */
export function quotaWords(what: 'collection' | 'media', bytes: number, most: number): string {
  const mib = (count: number): string => (count / 1024 ** 2).toFixed(1);
  const sizes = `would have ${mib(bytes)} MiB, and the sync server allows ${mib(most)} MiB`;
  return what === 'collection'
    ? `Your collection ${sizes}. Your cards on this device are fine. Nothing was sent.`
    : `Your media ${sizes}. Your files on this device are fine, and your cards sync as before. Please delete some media.`;
}

/** Told at the beginning of a sync that goes on: desktops show it at its end, as HTML. */
export function overQuotaWords(bytes: number, most: number): string {
  const mib = (count: number): string => (count / 1024 ** 2).toFixed(1);
  return `Your collection has ${mib(bytes)} MiB, and the sync server allows ${mib(most)} MiB. Your cards are synced all the same, and nothing is lost. `
    + 'But a one-way sync that makes it larger is refused. Please delete what you do not need any more, or ask whoever runs the server for more.';
}

/**
 * An answer of status 200 with words that clients show as they are, or undefined where the protocol has none. `meta` may ask clients
 * to stop, all they show of the answer to an upload is its text, and media answers have `err`, but for the zip of `downloadFiles`.
 */
export function inPlainWords(method: string, { code, message }: SyncError): string | undefined {
  const words = code === 'MAINTENANCE' || code === 'QUOTA_EXCEEDED' ? message : WORDS[code];
  if (words === undefined) return undefined;
  switch (method) {
    case 'meta':
      return JSON.stringify({ mod: 0, scm: 0, usn: 0, ts: Math.floor(Date.now() / 1000), msg: words, cont: false, hostNum: 0, empty: false, media_usn: 0 });
    case 'upload':
      return words;
    case 'begin':
    case 'mediaChanges':
    case 'uploadChanges':
    case 'mediaSanity':
      return JSON.stringify({ data: null, err: words });
    default:
      return undefined;
  }
}

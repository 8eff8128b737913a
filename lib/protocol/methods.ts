/** The methods of `/sync` and `/msync`, and what is known of a request before a byte of its body is read. */

/**
 * `json`: a JSON object, parsed by the thread. `empty`: `{}`, and an unknown field is refused. `bytes`: a collection file
 * or a media zip, which goes to a temp file and never into memory.
 */
export type InputKind = 'json' | 'empty' | 'bytes';

/** Which limit of `BodyLimits` holds. `small`: whatever anybody may send without an account, and inputs of a fixed shape. */
export type BodyClass = 'small' | 'json' | 'collection' | 'media';

export interface MethodSpec {
  readonly input: InputKind;
  readonly bodyClass: BodyClass;
  /** All but the login. */
  readonly needsHostKey: boolean;
  /** The steps of a running normal sync. */
  readonly needsSessionKey: boolean;
}

const step = { input: 'json', bodyClass: 'json', needsHostKey: true, needsSessionKey: true } as const;
const query = { input: 'json', bodyClass: 'small', needsHostKey: true, needsSessionKey: false } as const;

/**
 * A server gives each its step with `satisfies Record<SyncMethod, …>`: a method without a step does not compile.
 * `start` is not small, since clients that send all graves with it exist.
 */
export const SYNC_METHODS = {
  hostKey: { ...query, needsHostKey: false },
  meta: query,
  start: step,
  applyGraves: step,
  applyChanges: step,
  chunk: { ...step, input: 'empty', bodyClass: 'small' },
  applyChunk: step,
  sanityCheck2: { ...step, bodyClass: 'small' },
  finish: { ...step, input: 'empty', bodyClass: 'small' },
  abort: { ...query, input: 'empty' },
  upload: { input: 'bytes', bodyClass: 'collection', needsHostKey: true, needsSessionKey: false },
  download: { ...query, input: 'empty' },
} as const satisfies Record<string, MethodSpec>;

export const MEDIA_METHODS = {
  begin: query,
  mediaChanges: query,
  uploadChanges: { input: 'bytes', bodyClass: 'media', needsHostKey: true, needsSessionKey: false },
  downloadFiles: query,
  mediaSanity: query,
} as const satisfies Record<string, MethodSpec>;

export type SyncMethod = keyof typeof SYNC_METHODS;
export type MediaMethod = keyof typeof MEDIA_METHODS;

/** A request of the protocol, told by its path alone. */
export type MethodRoute = { kind: 'sync'; method: SyncMethod } | { kind: 'media'; method: MediaMethod };

export function methodSpec(route: MethodRoute): MethodSpec {
  return route.kind === 'sync' ? SYNC_METHODS[route.method] : MEDIA_METHODS[route.method];
}

export function isSyncMethod(name: string): name is SyncMethod {
  return Object.hasOwn(SYNC_METHODS, name);
}

export function isMediaMethod(name: string): name is MediaMethod {
  return Object.hasOwn(MEDIA_METHODS, name);
}

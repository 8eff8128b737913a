/** The options of the server behind a gateway. */
import type { SyncServerOptions } from '../options.ts';
import { hint } from '../spelling.ts';
import { requireProxyLibrary } from './library.ts';

/** Somebody at the server behind. */
export interface UpstreamUser {
  user: string;
  password: string;
}

/** A user's password there, where the name is the same, or both. */
export type UpstreamUserChoice = string | UpstreamUser;

export interface UpstreamOptions {
  /** Of the server behind, as in Anki's preferences: `http://127.0.0.1:8080/`. */
  url: string;
  /** By login name at the gateway, or a function of it that answers undefined for whom it does not know. Default: nobody. */
  users?: Readonly<Record<string, UpstreamUserChoice>> | ((loginName: string) => UpstreamUserChoice | undefined | Promise<UpstreamUserChoice | undefined>);
  /** Of everybody else there, under the name that they have here. Default: nobody else comes through. */
  sharedPassword?: string;
  /** How long the server behind may be silent, milliseconds. Default 120000. */
  timeoutMillis?: number;
}

/** What is about collections and media is for the server behind. */
export interface GatewayOptions extends Omit<SyncServerOptions,
  'collections' | 'media' | 'mediaFiles' | 'snapshots' | 'threads' | 'threadHeapMib' | 'maxOpenCollections' | 'closeIdleMillis' | 'syncIdleMillis'
  | 'maxWaitingPerUser' | 'collectionCacheKib'> {
  upstream: UpstreamOptions;
}

const NAMES: readonly (keyof UpstreamOptions)[] = ['url', 'users', 'sharedPassword', 'timeoutMillis'];

/** @throws TypeError that names the option, and quotes no secret; Error when the library is missing */
export function checkUpstream(options: UpstreamOptions | undefined): UpstreamOptions {
  if (typeof options !== 'object' || options === null) throw new TypeError('option "upstream" must be an object: { url, users, … }');
  for (const name of Object.keys(options)) {
    if (!NAMES.includes(name as keyof UpstreamOptions)) throw new TypeError(`unknown option "upstream.${name}".${hint(name, NAMES)}`);
  }
  const { url, users, sharedPassword, timeoutMillis } = options;
  if (typeof url !== 'string' || !/^https?:\/\//.test(url) || !URL.canParse(url)) {
    throw new TypeError('option "upstream.url" must be an address like http://127.0.0.1:8080/');
  }
  const { username, password, search, hash } = new URL(url);
  if (username !== '' || password !== '' || search !== '' || hash !== '') {
    throw new TypeError('option "upstream.url" must be an address alone, without a user, a question mark or a #');
  }
  if (users !== undefined && typeof users !== 'function') checkUsers(users);
  if (sharedPassword !== undefined && (typeof sharedPassword !== 'string' || sharedPassword === '')) {
    throw new TypeError('option "upstream.sharedPassword" must be a text');
  }
  if (users === undefined && sharedPassword === undefined) {
    throw new TypeError('option "upstream" needs "users" or "sharedPassword": nobody could sync');
  }
  if (timeoutMillis !== undefined && !(Number.isSafeInteger(timeoutMillis) && timeoutMillis > 0)) {
    throw new TypeError('option "upstream.timeoutMillis" must be a whole number of milliseconds');
  }
  requireProxyLibrary();
  return options;
}

/** @throws TypeError that names the user and no password */
export function checkUsers(users: unknown): asserts users is Record<string, UpstreamUserChoice> {
  if (typeof users !== 'object' || users === null || Array.isArray(users)) throw new TypeError('option "upstream.users" must be an object of names, or a function');
  for (const [name, choice] of Object.entries(users)) {
    if (!isChoice(choice)) throw new TypeError(`option "upstream.users": ${JSON.stringify(name)} must be a password, or { user, password }`);
  }
}

export function isChoice(choice: unknown): choice is UpstreamUserChoice {
  if (typeof choice === 'string') return choice !== '';
  if (typeof choice !== 'object' || choice === null) return false;
  const { user, password, ...others } = choice as Record<string, unknown>;
  return typeof user === 'string' && user !== '' && typeof password === 'string' && password !== '' && Object.keys(others).length === 0;
}

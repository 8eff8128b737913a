import { hash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { readFile, stat } from 'node:fs/promises';
import { resolve } from 'node:path';
import type { Authenticator, KeyBasis } from './authenticator.ts';
import { loginKey, normaliseLoginName, loginNameOrNull } from './login-names.ts';
import { parsePhc, PasswordHasher } from './password-hash.ts';
import { UsersError } from './users-error.ts';

export interface JsonUsersOptions {
  /** A JSON object: user name → password hash (PHC string of argon2id, scrypt or PBKDF2). */
  file: string;
  /** Values that are no hashes are passwords. Default false: such a file is refused. */
  dangerouslyAllowPlainPasswords?: boolean;
  /** Whether `Bob` and `bob` are two users; as in the data folder, whose default this is too. Default false. */
  caseSensitive?: boolean;
  /** Whose host keys end with a new version of the file: users who are not in it any more, also those with another hash, or nobody's. Default `changed`. */
  endKeys?: 'changed' | 'removed' | 'never';
  /** Told of each new version, and of each that cannot be used, with the reason. Never holds a hash or a password. */
  log?: (level: 'info' | 'warn' | 'error', detail: string) => void;
  hasher?: PasswordHasher;
}

interface Entry {
  loginName: string;
  /** A PHC string, or with `dangerouslyAllowPlainPasswords` a password. */
  secret: string;
  isHash: boolean;
}

/** With a key, the file is looked at so often at most; with a password, each time. */
const LOOK_EVERY_MILLIS = 1000;
/** Longer than a tick of any file system's clock. */
const YOUNG_MILLIS = 3000;
const MAX_FILE_BYTES = 64 * 1024 * 1024;

/**
 * Users from a JSON file: `{ "ann@example.org": "$argon2id$v=19$m=19456,t=2,p=1$…" }`. A new version holds from the next login on, and within a
 * second for devices that are signed in. A version that is broken, or gone, changes nothing: the last good one holds, and the log says why.
 *
 * Watching files is not reliable (editors that replace them, network disks, container mounts), so it is looked at when it is needed.
 *
 * @throws UsersError FILE_INVALID when there is no good version to begin with
 */
export function jsonUsersAuthenticator(options: JsonUsersOptions): Authenticator & { readonly computations: number } {
  return new JsonUsers(options);
}

class JsonUsers implements Authenticator {
  readonly #file: string;
  readonly #options: JsonUsersOptions;
  readonly #hasher: PasswordHasher;
  #users: Map<string, Entry>;
  /** Hash of the text that they come from. */
  #text: string;
  #version = '';
  /** Written a moment ago: a second change in the same tick of the file system's clock would look like no change. */
  #isYoung = true;
  #lookedMillis = -Infinity;
  #looking: Promise<void> | undefined;

  constructor(options: JsonUsersOptions) {
    this.#options = options;
    this.#file = resolve(options.file);
    this.#hasher = options.hasher ?? new PasswordHasher();
    try {
      // read again at the first login
      const text = readFileSync(this.#file, 'utf8');
      this.#users = this.#parse(text);
      this.#text = hash('sha256', text);
    } catch (error) {
      throw new UsersError('FILE_INVALID', `the file of users ${this.#file} cannot be used: ${reasonOf(error)}`);
    }
  }

  /** Hashes that were computed. */
  get computations(): number {
    return this.#hasher.computations;
  }

  /** @throws SyncError BUSY, AUTH_UNAVAILABLE */
  async authenticate({ username, password }: { username: string; password: string }): Promise<{ loginName: string } | null> {
    if (password === '') return null;
    await this.#look();
    const user = this.#find(username);
    // an unknown name does the work of a known one, with parameters as the others have
    const stored = user === undefined ? this.#anyHash() : user.isHash ? user.secret : null;
    const matches = await this.#hasher.verify(password, stored);
    if (user === undefined) return null;
    const right = user.isHash ? matches : sameText(password, user.secret);
    // a new version may have come while the hash was computed
    return right && this.#find(username)?.secret === user.secret ? { loginName: user.loginName } : null;
  }

  decides({ username }: { username: string }): boolean {
    return this.#find(username) !== undefined;
  }

  keyBasis(loginName: string): KeyBasis | Promise<KeyBasis> {
    if (this.#options.endKeys === 'never') return undefined;
    const basis = (): KeyBasis => {
      const user = this.#find(loginName);
      if (user === undefined) return null;
      return this.#options.endKeys === 'removed' ? 'there' : user.secret;
    };
    return performance.now() - this.#lookedMillis < LOOK_EVERY_MILLIS ? basis() : this.#look().then(basis);
  }

  #find(username: string): Entry | undefined {
    const name = loginNameOrNull(username);
    return name === null ? undefined : this.#users.get(loginKey(name, this.#options.caseSensitive ?? false));
  }

  #anyHash(): string | null {
    for (const { secret, isHash } of this.#users.values()) return isHash ? secret : null;
    return null;
  }

  /** Reads the file again if it is another one. Never rejects. */
  #look(): Promise<void> {
    this.#looking ??= this.#readIfNew().finally(() => {
      this.#looking = undefined;
      this.#lookedMillis = performance.now();
    });
    return this.#looking;
  }

  async #readIfNew(): Promise<void> {
    let version = 'unreadable';
    try {
      const found = await stat(this.#file, { bigint: true });
      version = versionOf(found);
      if (version === this.#version && !this.#isYoung) return;
      const text = await readFile(this.#file, 'utf8');
      // written while it was read: what was read may be of both
      if (versionOf(await stat(this.#file, { bigint: true })) !== version) return;
      this.#isYoung = Math.abs(Date.now() - Number(found.mtimeMs)) < YOUNG_MILLIS;
      const textHash = hash('sha256', text);
      if (textHash !== this.#text) this.#take(this.#parse(text), textHash);
    } catch (error) {
      if (version !== this.#version) this.#options.log?.('error', `${this.#file} cannot be used, and the users stay as they were: ${reasonOf(error)}`);
    }
    this.#version = version;
  }

  #take(users: Map<string, Entry>, textHash: string): void {
    this.#users = users;
    this.#text = textHash;
    this.#options.log?.('info', `new version of ${this.#file}: ${users.size} users`);
  }

  #parse(text: string): Map<string, Entry> {
    if (text.length > MAX_FILE_BYTES) throw new Error('it is larger than 64 MiB');
    let json: unknown;
    try {
      json = JSON.parse(text.replace(/^\uFEFF/, ''));
    } catch {
      // the parser's own words would quote the file
      throw new Error('it is not JSON');
    }
    if (typeof json !== 'object' || json === null || Array.isArray(json)) throw new Error('it must be an object of user names and password hashes');
    const users = new Map<string, Entry>();
    let number = 0;
    for (const [name, secret] of Object.entries(json)) {
      // not by name: a password may stand in its place
      const entry = entryOf(name, secret, `entry ${++number}`, this.#options.dangerouslyAllowPlainPasswords ?? false);
      const key = loginKey(entry.loginName, this.#options.caseSensitive ?? false);
      if (users.has(key)) throw new Error(`entry ${number} names a user who is there already, in another spelling`);
      users.set(key, entry);
    }
    return users;
  }
}

function entryOf(name: string, secret: unknown, where: string, allowPlain: boolean): Entry {
  if (typeof secret !== 'string' || secret === '') throw new Error(`${where} has no password hash`);
  let loginName: string;
  try {
    loginName = normaliseLoginName(name);
  } catch (error) {
    throw new Error(`${where}: ${(error as Error).message}`);
  }
  if (allowPlain && !/^\$(argon2|scrypt|pbkdf2)/.test(secret)) return { loginName, secret, isHash: false };
  try {
    parsePhc(secret);
  } catch (error) {
    throw new Error(`${where}: ${(error as Error).message}`);
  }
  return { loginName, secret, isHash: true };
}

/** Of two that differ in length too, without a hint of where. */
function sameText(a: string, b: string): boolean {
  const digest = (text: string): string => hash('sha256', text.normalize('NFC'));
  return digest(a) === digest(b);
}

/** An atomic replacement has another inode, an edit in place another time or size. */
function versionOf({ ino, size, mtimeNs, ctimeNs }: { ino: bigint; size: bigint; mtimeNs: bigint; ctimeNs: bigint }): string {
  return `${ino} ${size} ${mtimeNs} ${ctimeNs}`;
}

function reasonOf(error: unknown): string {
  const { code, message } = error as { code?: string; message: string };
  return code === undefined || !/^E[A-Z]+$/.test(code) ? message : `it cannot be read (${code})`;
}

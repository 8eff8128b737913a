import * as crypto from 'node:crypto';
import { SyncError } from '../errors.ts';
import { argon2id, hasArgon2 } from './argon2.ts';
import { isOldHash, matchesOldHash } from './old-hashes.ts';
import { UsersError } from './users-error.ts';

/** A password hash in the PHC string format: `$id$v=19$params$salt$hash`, base64 without padding. */
interface Phc {
  algorithm: 'argon2id' | 'scrypt' | 'pbkdf2-sha256' | 'pbkdf2-sha512';
  params: Record<string, number>;
  salt: Buffer;
  hash: Buffer;
}

/** Names of the parameters of each algorithm with the largest value accepted: a mistyped one must not take the machine down. */
const PARAMETERS = {
  argon2id: { m: 1 << 20, t: 64, p: 16 },
  scrypt: { ln: 20, r: 32, p: 16 },
  'pbkdf2-sha256': { i: 100_000_000, l: 64 },
  'pbkdf2-sha512': { i: 100_000_000, l: 64 },
} as const;

/** Of the official server's `pbkdf2` crate, where a string leaves them out. */
const DEFAULTS: Record<string, Record<string, number>> = { 'pbkdf2-sha256': { i: 600_000 }, 'pbkdf2-sha512': { i: 600_000 } };

/**
 * Reads a PHC string of argon2id, scrypt or PBKDF2 (the form of the official server with `PASSWORDS_HASHED`).
 *
 * @throws UsersError PASSWORD_INVALID with the reason; the string itself is not repeated
 */
export function parsePhc(text: string): Phc {
  const bad = (reason: string): never => {
    throw new UsersError('PASSWORD_INVALID', `not a usable password hash (PHC string): ${reason}`);
  };
  const parts = text.split('$');
  if (parts[0] !== '' || parts.length < 4) bad('expected $algorithm$parameters$salt$hash');
  const algorithm = parts[1] as Phc['algorithm'];
  if (!Object.hasOwn(PARAMETERS, algorithm)) bad(`algorithm must be one of ${Object.keys(PARAMETERS).join(', ')}`);
  let rest = parts.slice(2);
  if (rest[0]?.startsWith('v=') === true) {
    if (algorithm !== 'argon2id' || rest[0] !== 'v=19') bad('unknown version');
    rest = rest.slice(1);
  }
  const params: Record<string, number> = { ...DEFAULTS[algorithm] };
  if (rest[0]?.includes('=') === true) {
    for (const pair of rest[0].split(',')) {
      const [, name = '', value = ''] = /^([a-z]+)=([0-9]{1,9})$/.exec(pair) ?? [];
      const limit = (PARAMETERS[algorithm] as Record<string, number>)[name];
      if (limit === undefined) bad('unknown parameter');
      else if (Number(value) < 1 || Number(value) > limit) bad(`parameter ${name} must be from 1 to ${limit}`);
      params[name] = Number(value);
    }
    rest = rest.slice(1);
  }
  for (const name of Object.keys(PARAMETERS[algorithm])) if (name !== 'l' && params[name] === undefined) bad(`parameter ${name} is missing`);
  if (rest.length !== 2 || !rest.every((part) => /^[A-Za-z0-9+/]+$/.test(part))) bad('salt and hash must be base64 without padding');
  const salt = Buffer.from(rest[0]!, 'base64');
  const hash = Buffer.from(rest[1]!, 'base64');
  if (salt.length < 8 || salt.length > 64) bad('the salt must have 8 to 64 bytes');
  if (hash.length < 16 || hash.length > 64) bad('the hash must have 16 to 64 bytes');
  if (params.l !== undefined && params.l !== hash.length) bad('parameter l differs from the length of the hash');
  return { algorithm, params, salt, hash };
}

/** A damaged hash at rest is our fault, not a wrong password. */
function parseStored(text: string): Phc {
  try {
    return parsePhc(text);
  } catch (error) {
    throw new SyncError('AUTH_UNAVAILABLE', 'the stored password hash cannot be read', { cause: error });
  }
}

function formatPhc({ algorithm, params, salt, hash }: Phc): string {
  const base64 = (bytes: Buffer): string => bytes.toString('base64').replace(/=+$/, '');
  const list = Object.entries(params).map(([name, value]) => `${name}=${value}`).join(',');
  return `$${algorithm}${algorithm === 'argon2id' ? '$v=19' : ''}$${list}$${base64(salt)}$${base64(hash)}`;
}

/** Never on the main thread: argon2id in one of its own, the others in libuv's pool. */
function derive(password: string, { algorithm, params, salt, hash }: Phc): Promise<Buffer> {
  const message = Buffer.from(password);
  return new Promise((resolve, reject) => {
    const done = (error: Error | null, bytes: Buffer): void => (error === null || error === undefined ? resolve(bytes) : reject(error));
    if (algorithm === 'argon2id') {
      if (!hasArgon2()) throw new Error('this Node.js was built without argon2');
      argon2id({ message, nonce: salt, memory: params.m!, passes: params.t!, parallelism: params.p!, tagLength: hash.length }).then(resolve, reject);
    } else if (algorithm === 'scrypt') {
      const N = 2 ** params.ln!;
      crypto.scrypt(message, salt, hash.length, { N, r: params.r!, p: params.p!, maxmem: 128 * N * params.r! + (1 << 24) }, done);
    } else {
      crypto.pbkdf2(message, salt, params.i!, hash.length, algorithm === 'pbkdf2-sha256' ? 'sha256' : 'sha512', done);
    }
  });
}

export interface PasswordHasherOptions {
  /** Hashes under way at the same time, of which those of argon2id take turns. Default 2: half of libuv's pool, so that files and compression go on. */
  parallel?: number;
  /** Callers that may wait. Default 64; the next gets BUSY. */
  maxWaiting?: number;
  /** Of new hashes. Default argon2id, or scrypt where Node.js was built without it. */
  algorithm?: 'argon2id' | 'scrypt';
  /**
   * Memory of argon2id. Default 19456, with two passes: of OWASP's choices of equal strength the one that takes half the time of 46 MiB
   * and one pass here, which the allocator fetches from the system anew each time.
   */
  memoryKiB?: number;
  /** Passes of argon2id. Default 2. */
  passes?: number;
}

/** Hashes and checks passwords, a few at a time. */
export class PasswordHasher {
  /** How many hashes were computed. Right for one comparison of passwords: an unknown user must cost as much as a wrong password. */
  computations = 0;
  readonly #parallel: number;
  readonly #maxWaiting: number;
  readonly #algorithm: Phc['algorithm'];
  readonly #params: Record<string, number>;
  #running = 0;
  readonly #waiting: (() => void)[] = [];

  constructor(options: PasswordHasherOptions = {}) {
    this.#parallel = options.parallel ?? 2;
    this.#maxWaiting = options.maxWaiting ?? 64;
    this.#algorithm = options.algorithm ?? (hasArgon2() ? 'argon2id' : 'scrypt');
    this.#params = this.#algorithm === 'argon2id'
      ? { m: options.memoryKiB ?? 19_456, t: options.passes ?? 2, p: 1 }
      : { ln: 15, r: 8, p: 3 };
  }

  /** @throws SyncError BUSY */
  async hash(password: string): Promise<string> {
    const phc = this.#fresh();
    phc.hash = await this.#derive(password.normalize('NFC'), phc);
    return formatPhc(phc);
  }

  /**
   * Whether the password belongs to the hash. Null stands for a user who does not exist or has no password:
   * false after the same work.
   *
   * @throws SyncError BUSY; AUTH_UNAVAILABLE when the hash cannot be computed here
   */
  async verify(password: string, stored: string | null): Promise<boolean> {
    if (stored !== null && isOldHash(stored)) {
      // the old hash alone would tell by its speed who has not signed in since the move
      await this.#derive(password.normalize('NFC'), this.#fresh());
      return matchesOldHash(password, stored);
    }
    const phc = stored === null ? this.#fresh() : parseStored(stored);
    // the official server hashes what was typed, byte by byte; ours are always of the composed form
    const typed = phc.algorithm.startsWith('pbkdf2') ? password : password.normalize('NFC');
    const hash = await this.#derive(typed, phc);
    const same = crypto.timingSafeEqual(hash, phc.hash);
    // HMAC, which PBKDF2 and scrypt are made of, fills up with zeros: to it, a password and the same with NULs behind it are one
    const padded = phc.algorithm !== 'argon2id' && typed.endsWith('\0');
    return stored !== null && same && !padded;
  }

  /** Whether a hash was made with other parameters than today's. */
  isOutdated(stored: string): boolean {
    if (isOldHash(stored)) return true;
    const { algorithm, params } = parsePhc(stored);
    return algorithm !== this.#algorithm || Object.entries(this.#params).some(([name, value]) => params[name] !== value);
  }

  #fresh(): Phc {
    return { algorithm: this.#algorithm, params: this.#params, salt: crypto.randomBytes(16), hash: Buffer.alloc(32) };
  }

  async #derive(password: string, phc: Phc): Promise<Buffer> {
    if (this.#running >= this.#parallel) {
      if (this.#waiting.length >= this.#maxWaiting) throw new SyncError('BUSY', 'too many logins at once');
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    } else {
      this.#running++;
    }
    try {
      this.computations++;
      return await derive(password, phc);
    } catch (error) {
      throw new SyncError('AUTH_UNAVAILABLE', 'the password could not be checked', { cause: error });
    } finally {
      const next = this.#waiting.shift();
      if (next === undefined) this.#running--;
      else next();
    }
  }
}

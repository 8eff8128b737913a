import { createHash, hash, randomBytes, timingSafeEqual } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { AuthenticatedUser, Authenticator, Credentials } from './authenticator.ts';
import { loginKey, loginNameOrNull, normaliseLoginName } from './login-names.ts';
import { parsePhc, PasswordHasher } from './password-hash.ts';
import { UsersError } from './users-error.ts';

/** One user of the official server's environment. Exactly one of `password` and `phc` is set. */
export interface EnvUser {
  /** Where it comes from, for messages: `SYNC_USER1`. */
  variable: string;
  loginName: string;
  password: string | undefined;
  /** With `PASSWORDS_HASHED`. */
  phc: string | undefined;
  /** SHA-256 of the host key that the official server gives this user, base64url. */
  officialKeyHash: string;
}

export interface SyncUsers {
  users: EnvUser[];
  /** For the log at start. They hold no value, only names of variables. */
  warnings: string[];
}

/**
 * Reads `SYNC_USER1=name:password`, `SYNC_USER2`, … as the official server does, up to the first number that is missing.
 * `SYNC_USER1_FILE` names a file that holds the value, as containers give secrets. With `PASSWORDS_HASHED` set, to
 * whatever value, the part after the first colon is a PHC string.
 *
 * @throws UsersError ENVIRONMENT_INVALID, which names the variable and never repeats the value
 */
export function readSyncUsers(environment: Readonly<Record<string, string | undefined>>): SyncUsers {
  const hashed = environment.PASSWORDS_HASHED !== undefined;
  const users = new Map<string, EnvUser>();
  let number = 1;
  for (; ; number++) {
    const variable = `SYNC_USER${number}`;
    const value = valueOf(environment, variable);
    if (value === undefined) break;
    const user = parseUser(variable, value, hashed);
    const other = users.get(user.loginName);
    if (other !== undefined) throw invalid(variable, `names the same user as ${other.variable}`);
    users.set(user.loginName, user);
  }
  const ignored = Object.keys(environment).filter((name) => {
    const digits = /^SYNC_USERS?_?(\d*)(_FILE)?$/.exec(name)?.[1];
    return digits !== undefined && environment[name] !== undefined && !(Number(digits) < number && digits === String(Number(digits)) && digits !== '0');
  });
  return { users: [...users.values()], warnings: ignored.sort().map((name) => `${name} is ignored: users are numbered from SYNC_USER1 without a gap, and SYNC_USER${number} is missing`) };
}

function valueOf(environment: Readonly<Record<string, string | undefined>>, variable: string): string | undefined {
  const value = environment[variable];
  const path = environment[`${variable}_FILE`];
  if (path === undefined) return value;
  if (value !== undefined) throw invalid(variable, `and ${variable}_FILE are both set`);
  try {
    return readFileSync(path, 'utf8').replace(/\r?\n$/, '');
  } catch (error) {
    throw invalid(`${variable}_FILE`, `names a file that cannot be read (${(error as NodeJS.ErrnoException).code})`);
  }
}

function parseUser(variable: string, value: string, hashed: boolean): EnvUser {
  const colon = value.indexOf(':');
  if (colon === -1) throw invalid(variable, 'must be of the form name:password');
  const secret = value.slice(colon + 1);
  if (secret === '') throw invalid(variable, 'has no password after the colon');
  try {
    if (hashed) parsePhc(secret);
    return {
      variable,
      loginName: normaliseLoginName(value.slice(0, colon)),
      password: hashed ? undefined : secret,
      phc: hashed ? secret : undefined,
      // the official host key is the SHA-1 of the whole value
      officialKeyHash: hash('sha256', createHash('sha1').update(value).digest('hex'), 'base64url'),
    };
  } catch (error) {
    if (error instanceof UsersError) throw invalid(variable, `cannot be used: ${error.message}${hashed ? ' (PASSWORDS_HASHED is set)' : ''}`);
    throw error;
  }
}

function invalid(variable: string, reason: string): UsersError {
  return new UsersError('ENVIRONMENT_INVALID', `${variable} ${reason}`);
}

export interface EnvUsersOptions {
  /** The case rule of the data folder. */
  caseSensitive: boolean;
  hasher?: PasswordHasher;
}

/**
 * Users from the environment, kept in memory. Plain passwords are compared by their SHA-256: nothing is stored that an
 * attacker could search, so a slow hash would protect nothing, and a start with many users would take long.
 */
export class EnvUsers implements Authenticator {
  /** How many passwords were hashed for comparison. */
  get computations(): number {
    return this.#comparisons + this.#hasher.computations;
  }

  readonly #users = new Map<string, { user: EnvUser; digest: Buffer }>();
  readonly #byOfficialKey = new Map<string, EnvUser>();
  readonly #caseSensitive: boolean;
  readonly #hasher: PasswordHasher;
  readonly #nobody: { user: EnvUser | undefined; digest: Buffer };
  #comparisons = 0;

  constructor(users: readonly EnvUser[], options: EnvUsersOptions) {
    this.#caseSensitive = options.caseSensitive;
    this.#hasher = options.hasher ?? new PasswordHasher();
    for (const user of users) {
      this.#users.set(loginKey(user.loginName, options.caseSensitive), { user, digest: digestOf(user.password ?? '') });
      this.#byOfficialKey.set(user.officialKeyHash, user);
    }
    // an unknown name does the work of a known one: with hashed passwords that of a hash like the others
    this.#nobody = { user: users[0], digest: randomBytes(32) };
  }

  /** @throws SyncError BUSY, AUTH_UNAVAILABLE, only with hashed passwords */
  async authenticate({ username, password }: Credentials): Promise<AuthenticatedUser | null> {
    if (password === '') return null;
    const known = this.#find(username);
    const { user, digest } = known ?? this.#nobody;
    let right: boolean;
    if (user?.phc !== undefined) {
      right = await this.#hasher.verify(password, user.phc);
    } else {
      this.#comparisons++;
      right = timingSafeEqual(digestOf(password), digest);
    }
    return right && known !== undefined ? { loginName: known.user.loginName } : null;
  }

  decides({ username }: Credentials): boolean {
    return this.#find(username) !== undefined;
  }

  /** The user of a login name, or undefined. */
  user(loginName: string): EnvUser | undefined {
    return this.#find(loginName)?.user;
  }

  /** The user whose host key on the official server this is, or undefined. */
  userOfOfficialKey(key: string): EnvUser | undefined {
    return /^[0-9a-f]{40}$/.test(key) ? this.#byOfficialKey.get(hash('sha256', key, 'base64url')) : undefined;
  }

  #find(username: string): { user: EnvUser; digest: Buffer } | undefined {
    const name = loginNameOrNull(username);
    return name === null ? undefined : this.#users.get(loginKey(name, this.#caseSensitive));
  }
}

function digestOf(password: string): Buffer {
  return createHash('sha256').update(password.normalize('NFC')).digest();
}

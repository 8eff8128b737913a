import { hash, randomInt } from 'node:crypto';
import type { HostKeys } from './host-keys.ts';
import type { UsersDatabase } from './users-database.ts';
import { UsersError } from './users-error.ts';
import { randomId } from './users-writes.ts';

/**
 * Passwords for Anki clients, made here and shown once: for people who sign in elsewhere without one (single sign-on), and for devices that
 * are not to know the person's own password. They sign in no further than to sync.
 */
export interface AppPasswords {
  /**
   * Makes one. The password is nowhere kept, and never told again.
   *
   * @throws UsersError APP_PASSWORD_INVALID for a name or an end that cannot be, or too many of them; USER_UNKNOWN
   */
  create(userId: string, wanted: NewAppPassword): Promise<{ id: string; password: string }>;
  /** The user's own, oldest first; those that have ended by their date too, until they are revoked. */
  list(userId: string): Promise<AppPassword[]>;
  /** Ends it, and at once the host keys that were issued for it. False when the user has none of this id. */
  revoke(userId: string, id: string): Promise<boolean>;
}

export interface NewAppPassword {
  /** What the person calls it: 1 to 100 characters, for instance the device. */
  name: string;
  /** Seconds since 1970 at which it ends, with its host keys. Default: it does not. */
  expiresSecs?: number;
}

export interface AppPassword {
  id: string;
  name: string;
  createdSecs: number;
  expiresSecs?: number;
  /** When somebody signed in with it last. */
  lastUsedSecs?: number;
}

/** Of one user; more are a script gone wrong. */
export const MAX_APP_PASSWORDS = 100;
const MAX_NAME_CHARS = 100;
const FORBIDDEN = /[\p{Cc}\u2028\u2029]/u;

/** Consonants only: they make no words, there is no `l` for a `1`, and no phone keyboard has to be switched. */
const ALPHABET = 'bcdfghjkmnpqrstvwxyz';
/** 20^30 are 129 bits. */
const SECRET_LETTERS = 30;
/** Of passwords that look alike by chance, 1 in 3200000 is taken for an app password. */
const CHECK_LETTERS = 5;
const GROUP_LETTERS = 5;
const FORM = new RegExp(`^[${ALPHABET}]{${SECRET_LETTERS + CHECK_LETTERS}}$`);

/** A new one, as it is shown: seven groups of five letters. */
export function newAppPassword(): string {
  const secret = Array.from({ length: SECRET_LETTERS }, () => ALPHABET[randomInt(ALPHABET.length)]).join('');
  return `${secret}${checkLetters(secret)}`.match(new RegExp(`.{${GROUP_LETTERS}}`, 'g'))!.join('-');
}

/**
 * The letters of an app password, however it was typed: capitals, spaces and all kinds of hyphens do not count. Null for anything that was
 * never one: the last letters are a checksum of the others.
 */
export function appPasswordLetters(typed: string): string | null {
  if (typed.length > 200) return null;
  const letters = typed.normalize('NFKC').replaceAll(/[\s\p{Dash}\p{Default_Ignorable_Code_Point}]/gu, '').toLowerCase();
  if (!FORM.test(letters)) return null;
  return letters.slice(SECRET_LETTERS) === checkLetters(letters.slice(0, SECRET_LETTERS)) ? letters : null;
}

/** What the data folder keeps. Nobody guesses 129 random bits: a slow hash would protect nothing, and cost each login its time. */
export function appPasswordHash(letters: string): string {
  return hash('sha256', `anki-sync app password ${letters}`, 'base64url');
}

function checkLetters(secret: string): string {
  const digest = hash('sha256', `anki-sync checksum ${secret}`, 'buffer');
  let number = digest.readUIntBE(0, 6);
  let letters = '';
  while (letters.length < CHECK_LETTERS) {
    letters += ALPHABET[number % ALPHABET.length];
    number = Math.floor(number / ALPHABET.length);
  }
  return letters;
}

/** App passwords in the data folder. */
export class SqliteAppPasswords implements AppPasswords {
  readonly #database: UsersDatabase;
  readonly #now: () => number;
  readonly #keysElsewhere: HostKeys | undefined;

  /** @param options `now`: milliseconds since 1970. Default: the clock. `keysElsewhere`: host keys that are not in this database */
  constructor(database: UsersDatabase, options: { now?: () => number; keysElsewhere?: HostKeys } = {}) {
    this.#database = database;
    this.#now = options.now ?? Date.now;
    this.#keysElsewhere = options.keysElsewhere;
  }

  async create(userId: string, { name, expiresSecs }: NewAppPassword): Promise<{ id: string; password: string }> {
    const nowSecs = Math.floor(this.#now() / 1000);
    const clean = checkedName(name);
    if (expiresSecs !== undefined && !(Number.isSafeInteger(expiresSecs) && expiresSecs > nowSecs)) {
      throw new UsersError('APP_PASSWORD_INVALID', 'the end of an app password must be a time to come');
    }
    const password = newAppPassword();
    const id = randomId(12);
    await this.#database.write('addAppPassword', {
      id,
      userId,
      name: clean,
      passwordHash: appPasswordHash(appPasswordLetters(password)!),
      nowSecs,
      expiresSecs: expiresSecs ?? null,
      maxCount: MAX_APP_PASSWORDS,
    });
    return { id, password };
  }

  async list(userId: string): Promise<AppPassword[]> {
    return this.#database.appPasswordsOf(userId).map((row) => ({
      id: row.id,
      name: row.name,
      createdSecs: row.created_secs,
      ...(row.expires_secs === null ? {} : { expiresSecs: row.expires_secs }),
      ...(row.last_used_secs === null ? {} : { lastUsedSecs: row.last_used_secs }),
    }));
  }

  async revoke(userId: string, id: string): Promise<boolean> {
    const wasThere = await this.#database.write('removeAppPassword', userId, id);
    // asked for a second time, it ends what was left over by a first time that failed
    for (const key of await this.#keysElsewhere?.list(userId) ?? []) {
      if (key.appPasswordId === id) await this.#keysElsewhere!.revoke(userId, key.keyId);
    }
    return wasThere;
  }
}

function checkedName(typed: string): string {
  const name = typed.normalize('NFC').trim();
  const reason = name === '' ? 'is empty'
    : !name.isWellFormed() || FORBIDDEN.test(name) ? 'holds characters that cannot be shown'
    : [...name].length > MAX_NAME_CHARS ? `is longer than ${MAX_NAME_CHARS} characters`
    : undefined;
  if (reason !== undefined) throw new UsersError('APP_PASSWORD_INVALID', `this name of an app password cannot be used: it ${reason}`);
  return name;
}

import { createHmac, hash } from 'node:crypto';
import type { KeyBasis, User } from '../auth/authenticator.ts';
import type { UsersDatabase } from '../auth/users-database.ts';
import { userOf } from '../auth/users-database.ts';
import { newToken } from './cookies.ts';

/** `portal`: the application around us says who it is. */
export type SignedInVia = 'password' | 'portal' | `oidc:${string}`;

/** A browser that is signed in. */
export interface Session {
  user: User;
  via: SignedInVia;
  /** When the person proved who they are. */
  signedInSecs: number;
}

export interface SessionsOptions {
  database: UsersDatabase;
  /** From the sign-in on. */
  maxSecs: number;
  /** Without a request. */
  idleSecs: number;
  /**
   * What a sign-in rests on, beside the data folder's own passwords: see `Authenticator.keyBasis`. Null where nobody may sign in that way (any
   * more).
   */
  basisOf(user: User, via: SignedInVia): KeyBasis | Promise<KeyBasis>;
  /** Seconds since 1970. Default: the clock. */
  nowSecs?: () => number;
}

const MARK_USED_AFTER_SECS = 60;
/** Of one user: more are a script gone wrong. */
const MAX_SESSIONS = 50;

/**
 * Sessions of browsers, in the database of users: they outlive a restart, and end with their user, and with the password, whoever changes
 * it. Only the SHA-256 of a cookie is kept.
 */
export class Sessions {
  readonly #options: SessionsOptions;
  readonly #nowSecs: () => number;

  constructor(options: SessionsOptions) {
    this.#options = options;
    this.#nowSecs = options.nowSecs ?? (() => Math.floor(Date.now() / 1000));
  }

  async find(token: string): Promise<Session | undefined> {
    const { database, maxSecs, idleSecs } = this.#options;
    const sessionHash = hashOf(token);
    const row = database.pageSession(sessionHash);
    if (row === undefined) return undefined;
    const nowSecs = this.#nowSecs();
    if (row.signed_in_secs + maxSecs <= nowSecs || row.used_secs + idleSecs <= nowSecs) return undefined;
    const userRow = database.userById(row.user_id);
    if (userRow === undefined) return undefined;
    const user = userOf(userRow);
    const via = row.via as SignedInVia;
    if ((await this.#seal(token, user, via)) !== row.seal) {
      await this.end(token);
      return undefined;
    }
    if (row.used_secs + MARK_USED_AFTER_SECS <= nowSecs) {
      // a lost minute does no harm
      database.write('markPageSessionUsed', sessionHash, nowSecs, nowSecs - maxSecs, nowSecs - idleSecs).catch(() => {});
    }
    return { user, via, signedInSecs: row.signed_in_secs };
  }

  /**
   * Answers the new cookie's token. Nobody has seen it before, so that whoever knows an earlier one of this browser is not signed in with it.
   *
   * @param before the browser's token until now, whose session ends
   * @param passwordMark of the login; see `Device.passwordMark`
   * @returns undefined when the user was removed or disabled, or got another password, meanwhile
   */
  async start(user: User, via: SignedInVia, before: string | undefined, signedInSecs = this.#nowSecs(), passwordMark?: string): Promise<string | undefined> {
    const token = newToken();
    const seal = await this.#seal(token, user, via);
    if (seal === undefined) return undefined;
    const added = await this.#options.database.write('addPageSession', {
      session_hash: hashOf(token),
      user_id: user.id,
      via,
      seal,
      signed_in_secs: signedInSecs,
      used_secs: this.#nowSecs(),
    }, before === undefined ? null : hashOf(before), MAX_SESSIONS, passwordMark ?? null);
    return added ? token : undefined;
  }

  async end(token: string): Promise<void> {
    await this.#options.database.write('endPageSession', hashOf(token));
  }

  async endAll(userId: string): Promise<void> {
    await this.#options.database.write('endPageSessions', userId);
  }

  /** Null: nothing to compare. Undefined: nobody may be signed in by it any more. Whoever has the data folder has no cookies to try passwords with. */
  async #seal(token: string, user: User, via: SignedInVia): Promise<string | null | undefined> {
    const basis = await this.#options.basisOf(user, via);
    if (basis === null) return undefined;
    return basis === undefined ? null : createHmac('sha256', token).update(basis).digest('base64url');
  }
}

function hashOf(token: string): string {
  return hash('sha256', token, 'base64url');
}

import type { AppPasswords } from '../auth/app-passwords.ts';
import type { User } from '../auth/authenticator.ts';
import type { HostKeys } from '../auth/host-keys.ts';
import type { OidcProviders } from '../auth/oidc/oidc.ts';
import type { SignIn } from '../auth/sign-in.ts';
import type { SqliteUsers } from '../auth/sqlite-users.ts';
import type { UserDirectory } from '../auth/user-directory.ts';
import type { Engine } from '../engine/pool.ts';
import type { HttpRequest, HttpResponse } from '../http.ts';
import type { LogEntry } from '../options.ts';
import type { Quotas } from '../quotas.ts';
import type { SnapshotLimits } from '../storage/sqlite/snapshots.ts';
import type { Confirmations } from './confirmations.ts';
import type { Downloads } from './downloads.ts';
import type { Html } from './html.ts';
import type { LastErrors } from './last-errors.ts';
import type { Notice, Notices } from './notices.ts';
import type { Sealing } from './sealing.ts';
import type { Session, Sessions } from './sessions.ts';
import type { UsedStates } from './used-states.ts';

/** What the pages work with: the rooms of the server, and what the account page keeps itself. */
export interface AccountRoom {
  /** Absolute. */
  base: string;
  directory: UserDirectory;
  users: SqliteUsers;
  /** Undefined: this server takes none. */
  appPasswords: AppPasswords | undefined;
  hostKeys: HostKeys;
  signIn: SignIn;
  engine: Engine;
  quotas: Quotas;
  oidc: OidcProviders | undefined;
  /** Where clients reach the server, if that was told: with or without a slash at its end. */
  publicUrl: string | undefined;
  sessions: Sessions;
  notices: Notices;
  sealing: Sealing;
  usedStates: UsedStates;
  confirmations: Confirmations;
  lastErrors: LastErrors;
  /** Whether users of the data folder sign in with a password, so that an administrator can add some. */
  hasLocalUsers: boolean;
  /** Whether anybody signs in by typing a password. */
  takesPasswords: boolean;
  /** Not at a gateway, whose users' cards and media are elsewhere. */
  holdsData: boolean;
  snapshots: SnapshotLimits;
  /** What can be downloaded: with stores of one's own, perhaps nothing. */
  downloads: 'all' | 'cards' | 'none';
  downloadPlaces: Downloads;
  isAdmin(user: User): boolean;
  tell(entry: LogEntry): void;
}

/** One request, and who makes it. */
export interface Visit {
  http: HttpRequest;
  /** Below the account page, decoded. */
  path: readonly string[];
  query: URLSearchParams;
  /** Where the account page is, without a slash at its end: `/anki/account`. */
  home: string;
  /** What to enter in Anki, with a slash at its end. */
  serverUrl: string;
  /** Of the cookie. */
  token: string;
  /** Of a sign-in at a provider that is on its way. */
  sealed: string | undefined;
  session: Session | undefined;
  entry: LogEntry;
}

/** A visit of somebody who is signed in. */
export type SignedInVisit = Visit & { session: Session };

export interface Page {
  title: string;
  body: Html;
  /** Default 200. */
  status?: number;
  /** Default: what the last change has led to. */
  notice?: Notice;
  /** For little more than a form. */
  narrow?: boolean;
  retryAfterSecs?: number;
}

export interface Redirect {
  /** Below the account page; a whole URL leads elsewhere. */
  goTo: string;
  notice?: Notice;
  /** The browser's cookie from now on. */
  cookie?: { token: string; sealed?: string };
}

export type Reply = Page | Redirect | HttpResponse;

/** The rooms of the server → the account page. Loaded, with all of this folder, when somebody asks for a page for the first time. */
import type { Authenticator, KeyBasis, User } from '../auth/authenticator.ts';
import type { BuiltInAuth } from '../auth/built-in.ts';
import type { HostKeys } from '../auth/host-keys.ts';
import { EnvUsers } from '../auth/env-users.ts';
import { loginKey, normaliseLoginName } from '../auth/login-names.ts';
import type { OidcProviders } from '../auth/oidc/oidc.ts';
import type { SignIn } from '../auth/sign-in.ts';
import type { Engine } from '../engine/pool.ts';
import type { CheckedOptions, LogEntry } from '../options.ts';
import type { Quotas } from '../quotas.ts';
import { SNAPSHOT_LIMITS } from '../storage/sqlite/snapshots.ts';
import { Account } from './account.ts';
import { Confirmations } from './confirmations.ts';
import { Downloads } from './downloads.ts';
import type { LastErrors } from './last-errors.ts';
import { Notices } from './notices.ts';
import { Recheck } from './recheck.ts';
import type { AccountRoom } from './room.ts';
import { newSealing } from './sealing.ts';
import { Sessions, type SignedInVia } from './sessions.ts';
import type { CheckedAccountOptions } from './settings.ts';
import { UsedStates } from './used-states.ts';

export interface ServerRooms {
  auth: BuiltInAuth;
  authenticator: Authenticator;
  signIn: SignIn;
  oidc: OidcProviders;
  hostKeys: HostKeys;
  engine: Engine;
  quotas: Quotas;
  /** Of a gateway. */
  forwarding: object | undefined;
}

export interface Surroundings {
  options: CheckedOptions;
  settings: CheckedAccountOptions;
  lastErrors: LastErrors;
  tell(entry: LogEntry): void;
  describe(error: unknown, entry: LogEntry): void;
}

export function openAccount({ auth, authenticator, signIn, oidc, hostKeys, engine, quotas, forwarding }: ServerRooms, surroundings: Surroundings): Account {
  const { options, settings, lastErrors, tell, describe } = surroundings;
  const { database } = auth;
  const admins = new Set(settings.admins.map((name) => loginKey(normaliseLoginName(name), database.caseSensitive)));
  const passwordBasis = (user: User): KeyBasis | Promise<KeyBasis> => (settings.passwords ? basisOf(auth, authenticator, user) : null);
  const sessions = new Sessions({
    database,
    maxSecs: settings.sessionHours * 3600,
    idleSecs: settings.idleMinutes * 60,
    basisOf: (user, via) => (via === 'password' ? passwordBasis(user) : providerBasis(oidc, via)),
  });
  return new Account({
    base: options.base,
    directory: auth.directory,
    users: auth.users,
    appPasswords: options.appPasswords === false ? undefined : auth.appPasswords,
    hostKeys,
    signIn,
    engine,
    quotas,
    oidc,
    sessions,
    notices: new Notices(),
    sealing: newSealing(),
    usedStates: new UsedStates(),
    confirmations: new Confirmations(),
    lastErrors,
    hasLocalUsers: hasLocalUsers(options),
    takesPasswords: settings.passwords,
    holdsData: forwarding === undefined,
    snapshots: { ...SNAPSHOT_LIMITS, ...options.snapshots },
    downloads: downloadsOf(options),
    downloadPlaces: new Downloads(),
    isAdmin: ({ isAdmin, loginName }) => isAdmin === true || admins.has(loginKey(loginName, database.caseSensitive)),
    tell,
    publicUrl: options.publicUrl,
    describe,
    isKnown: (loginName) => isKnown(authenticator, loginName),
    recheck: new Recheck(authenticator, async ({ id }) => {
      await hostKeys.revoke(id);
      await sessions.endAll(id);
    }),
  });
}

/** Of a provider, its issuer: another one may have its id by now. A portal is asked at each visit. */
function providerBasis(oidc: OidcProviders, via: Exclude<SignedInVia, 'password'>): KeyBasis {
  return via === 'portal' ? undefined : (oidc.get(via.slice('oidc:'.length))?.issuer ?? null);
}

/** A user of the environment has their password as the basis; of others, their authenticator may know one. */
function basisOf({ authenticator: own }: BuiltInAuth, authenticator: Authenticator, { loginName }: User): KeyBasis | Promise<KeyBasis> {
  if (!(own instanceof EnvUsers)) return authenticator.keyBasis?.(loginName);
  const known = own.user(loginName);
  return known === undefined ? null : (known.phc ?? known.password);
}

async function isKnown(authenticator: Authenticator, loginName: string): Promise<boolean> {
  try {
    if ((await authenticator.keyBasis?.(loginName)) === null) return false;
    return !(Number(authenticator.recheckMinutes) > 0) || (await authenticator.stillAllowed?.(loginName)) !== false;
  } catch {
    return true;
  }
}

function hasLocalUsers({ authenticator = 'local', environmentUsers = [] }: CheckedOptions): boolean {
  return environmentUsers.length === 0 && (authenticator === 'local' || (Array.isArray(authenticator) && authenticator.includes('local')));
}

/** A `.colpkg` is made of a copy of the collection, and of media as our own stores lay them out. */
function downloadsOf({ collections, media, mediaFiles }: CheckedOptions): AccountRoom['downloads'] {
  if (collections !== undefined || media !== undefined) return 'none';
  return mediaFiles === undefined ? 'all' : 'cards';
}

/** What opens with the data folder, and closes with it. */
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { AuditLog } from '../auth/audit-log.ts';
import { authenticatorFrom } from '../auth/authenticator-from.ts';
import type { Authenticator, User } from '../auth/authenticator.ts';
import { basedHostKeys } from '../auth/based-host-keys.ts';
import { openBuiltInAuth, type BuiltInAuth } from '../auth/built-in.ts';
import { chainedAuthenticator } from '../auth/chained-authenticator.ts';
import type { HostKeys } from '../auth/host-keys.ts';
import { LoginLimits } from '../auth/login-limits.ts';
import { oidcProviders } from '../auth/oidc/oidc-providers.ts';
import type { OidcProviders } from '../auth/oidc/oidc.ts';
import { restingHostKeys } from '../auth/oidc/resting-host-keys.ts';
import { sqliteOidcSubjects } from '../auth/oidc/subjects.ts';
import { recheckedHostKeys } from '../auth/rechecked-host-keys.ts';
import { SignIn } from '../auth/sign-in.ts';
import { withAppPasswords } from '../auth/with-app-passwords.ts';
import type { Engine } from '../engine/pool.ts';
import type { Forwarding } from '../gateway/forwarding.ts';
import type { CheckedOptions, SyncServerOptions } from '../options.ts';
import { FormSpool } from '../protocol/form-spool.ts';
import { Quotas } from '../quotas.ts';
import { lockDataFolder, type DataFolderLock } from '../storage/files/data-folder-lock.ts';
import { clearStaging, stagingFolder } from '../storage/files/staging.ts';
import { given } from './given.ts';
import { auditLine, noteOf, tellOfRevoked, type Tell } from './log-lines.ts';
import { openEngine } from './open-engine.ts';

export interface Rooms {
  lock: DataFolderLock;
  auth: BuiltInAuth;
  audit: AuditLog;
  authenticator: Authenticator;
  signIn: SignIn;
  limits: LoginLimits | undefined;
  oidc: OidcProviders;
  hostKeys: HostKeys;
  engine: Engine;
  quotas: Quotas;
  /** Of a gateway alone, whose engine is never asked. */
  forwarding: Forwarding | undefined;
  spool: FormSpool;
}

export interface RoomsSurroundings {
  tell: Tell;
  /** The lock of the data folder is another server's now. */
  lost(words: string): void;
  /** Of a gateway. */
  openForwarding: OpenForwarding | undefined;
}

export type OpenForwarding = (caseSensitive: boolean) => Promise<Forwarding>;

/** @throws DataFolderInUseError, UsersError, and what the file system or SQLite says of a folder that cannot be opened */
export async function openRooms(options: CheckedOptions, { tell, lost, openForwarding }: RoomsSurroundings): Promise<Rooms> {
  const { base } = options;
  const lock = await lockDataFolder(base, 'server', { lost });
  let auth: BuiltInAuth | undefined;
  try {
    clearStaging(base);
    const { caseSensitive, environmentUsers, officialHostKeys, passwordChangeEnds, hostKeys: keysElsewhere } = options;
    const revokedElsewhere = (userId: string, count: number): void => tellOfRevoked(tell, auth!.directory, userId, count);
    auth = await openBuiltInAuth(
      base,
      given({ caseSensitive, environment: environmentUsers, officialKeys: officialHostKeys, passwordChangeEnds, keysElsewhere, revokedElsewhere }),
    );
    const { directory } = auth;
    const others = authenticatorOf(options.authenticator ?? 'local', auth.authenticator);
    const authenticator = options.appPasswords === false ? others : withAppPasswords({ rest: others, database: auth.database });
    const limits = options.loginLimits === false ? undefined : new LoginLimits(options.loginLimits);
    return {
      lock,
      auth,
      audit: new AuditLog(auth.database, (row) => tell(auditLine(row))),
      authenticator,
      signIn: new SignIn({ authenticator, directory, limits }),
      limits,
      oidc: oidcProviders(options.oidc ?? [], sqliteOidcSubjects(auth.database, authenticator)),
      hostKeys: hostKeysOf(options, auth, authenticator, tell),
      engine: openEngine(options),
      quotas: quotasOf(options, auth, tell),
      forwarding: await openForwarding?.(auth.database.caseSensitive),
      spool: new FormSpool({
        newPath: () => join(stagingFolder(base), `form-${randomBytes(12).toString('hex')}`),
        maxBytes: 2 * options.limits.maxPackedBytes,
      }),
    };
  } catch (error) {
    await auth?.close();
    await lock.release();
    throw error;
  }
}

/** What still needs others closes first. `account` is that of the pages, if somebody asked for one. */
export async function closeRooms(rooms: Rooms, account: { close(): Promise<void> } | undefined): Promise<void> {
  await rooms.engine.close();
  rooms.forwarding?.close();
  await account?.close();
  await rooms.hostKeys.close?.();
  await rooms.authenticator.close?.();
  await rooms.audit.close();
  await rooms.auth.close();
  await rooms.lock.release();
}

function authenticatorOf(chosen: NonNullable<SyncServerOptions['authenticator']>, local: Authenticator): Authenticator {
  if (chosen === 'local') return local;
  if ('map' in chosen) return chainedAuthenticator(chosen.map((member) => authenticatorOf(member, local)));
  return typeof chosen === 'function' ? authenticatorFrom(chosen) : chosen;
}

/** Where keys are kept, and what ends them: providers and directories that know a user no more, a password that changed. */
function hostKeysOf(options: CheckedOptions, { database, hostKeys }: BuiltInAuth, authenticator: Authenticator, tell: Tell): HostKeys {
  const { passwordChangeEnds } = options;
  const rechecked = recheckedHostKeys({
    hostKeys,
    authenticator,
    tell: (level, detail) => tell({ level, request: 'recheck', status: 0, ms: 0, detail }),
  });
  const based = basedHostKeys({ hostKeys: rechecked, authenticator, database, ...given({ passwordChangeEnds }) });
  return restingHostKeys({ providers: options.oidc ?? [], database, hostKeys: based });
}

function quotasOf({ quota: option, hostKeys: elsewhere }: CheckedOptions, { database }: BuiltInAuth, tell: Tell): Quotas {
  return new Quotas({
    option,
    // users come with our keys as the database has them now; of other keys, as they were
    ownOf: elsewhere === undefined ? ({ quota }) => quota : ({ id }) => database.quotaOf(id),
    failed: (error, user) => tell(noteOf('error', 'quota', user, String(error))),
  });
}

/** Where the engine finds a user's data. */
export function placeOf(user: User): { userId: string; folder: string } {
  return { userId: user.id, folder: user.folder };
}

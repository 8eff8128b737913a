import { SyncError } from '../../errors.ts';
import { OidcError, type OidcProvider, type OidcState } from '../../auth/oidc/oidc.ts';
import { isThisMachine } from '../../auth/oidc/settings.ts';
import { loginEvent } from '../../auth/login-event.ts';
import { PageError } from '../page-error.ts';
import type { AccountRoom, Redirect, Visit } from '../room.ts';
import { signedIn } from './sign-in.ts';

/** To the provider. What its answer is compared with goes along in the cookie, sealed, and bound to this browser. */
export function beginOidc(room: AccountRoom, visit: Visit): Promise<Redirect> {
  return begun(room, visit, false);
}

/** The same for somebody who is signed in already, perhaps by a provider that asked nobody: it has to ask now. */
export function confirmOidc(room: AccountRoom, visit: Visit): Promise<Redirect> {
  return begun(room, visit, true);
}

async function begun(room: AccountRoom, visit: Visit, fresh: boolean): Promise<Redirect> {
  const provider = providerOf(room, visit);
  requireOwnAddress(room, visit);
  const { url, state } = await provider.begin({ redirectUri: `${visit.serverUrl}account/oidc/${provider.id}/callback`, fresh });
  return { goTo: url, cookie: { token: visit.token, sealed: room.sealing.seal(state, visit.token) } };
}

/**
 * The address to come back to must not be one that whoever made the link chose by the `Host` of its request: a provider that takes any would
 * send the code of its visitor there.
 */
function requireOwnAddress({ publicUrl }: AccountRoom, { serverUrl }: Visit): void {
  if (publicUrl !== undefined || (URL.canParse(serverUrl) && isThisMachine(new URL(serverUrl).hostname))) return;
  throw new PageError(503, 'Signing in this way is not set up completely. Please tell the administrator of this server.', {
    code: 'PUBLIC_URL_MISSING',
    detail: 'single sign-on needs PUBLIC_URL (publicUrl): the address that people open, as registered at the provider',
  });
}

/** And back. The state is used up, whatever comes of it; that of another tab, which began later, is not. */
export async function finishOidc(room: AccountRoom, visit: Visit): Promise<Redirect> {
  const { entry, http, sealed, token } = visit;
  const provider = providerOf(room, visit);
  const kept = sealed === undefined ? undefined : (room.sealing.open(sealed, token) as OidcState | undefined);
  const isItsOwn = kept !== undefined && visit.query.get('state') === kept.state;
  const state = isItsOwn && !room.usedStates.use(kept.state) ? undefined : kept;
  // a way back that is asked for twice takes nothing from the browser that came by it
  if (isItsOwn && state !== undefined) visit.sealed = undefined;
  try {
    const { user, fresh } = await provider.finish(http.url, state);
    entry.user = user.loginName;
    entry.event = 'login.ok';
    const redirect = await signedIn(room, visit, user, `oidc:${provider.id}`);
    if (fresh !== true) return redirect;
    room.confirmations.add(redirect.cookie!.token);
    return { ...redirect, goTo: 'delete' };
  } catch (error) {
    if (error instanceof OidcError && error.reason !== 'stale' && error.reason !== 'cancelled') {
      entry.event = error.reason === 'unavailable' ? 'login.unavailable' : 'login.refused';
    }
    if (error instanceof SyncError) entry.event = loginEvent(error);
    throw error;
  }
}

function providerOf({ oidc }: AccountRoom, { path }: Visit): OidcProvider {
  const provider = oidc?.get(path[1]!);
  if (provider === undefined) throw new PageError(404, 'There is no such way to sign in.');
  return provider;
}

import type { OidcClaims, OidcSettings } from './settings.ts';
import { claimAt, judgedClaims, wantedClaims } from './claims.ts';
import { Discovery, type Discovered } from './discovery.ts';
import { failureOf } from './failure.ts';
import { OidcError, type OidcBegun, type OidcLogin, type OidcProvider, type OidcSignedIn, type OidcState } from './oidc.ts';
import type { OidcSubjects } from './subjects.ts';

/** From the button to the way back: time for a password, a second factor, and finding the phone for it. */
const LOGIN_SECS = 15 * 60;

/** One provider: the authorization code flow with PKCE, `state` and `nonce`, as OpenID Connect Core 1.0 (3.1) and RFC 9700 want it. */
export function oidcProvider(settings: OidcSettings, subjects: OidcSubjects, now: () => number = Date.now): OidcProvider {
  const discovery = new Discovery(settings);

  return {
    id: settings.id,
    name: settings.name,
    issuer: settings.issuer.href,

    async begin({ redirectUri, loginHint, fresh = false }: OidcLogin): Promise<OidcBegun> {
      const { library, configuration } = await discovery.get();
      const state = library.randomState();
      const nonce = library.randomNonce();
      const codeVerifier = library.randomPKCECodeVerifier();
      // both mean the same, and not every provider knows both
      const asked = fresh ? { prompt: 'login', maxAgeSecs: 0 } : settings;
      const parameters = {
        ...settings.extraParameters,
        redirect_uri: redirectUri,
        scope: settings.scope,
        state,
        nonce,
        code_challenge: await library.calculatePKCECodeChallenge(codeVerifier),
        code_challenge_method: 'S256',
        ...(asked.prompt === undefined ? {} : { prompt: asked.prompt }),
        ...(asked.maxAgeSecs === undefined ? {} : { max_age: String(asked.maxAgeSecs) }),
        ...(settings.acrValues === undefined ? {} : { acr_values: settings.acrValues.join(' ') }),
        ...(loginHint === undefined ? {} : { login_hint: loginHint }),
      };
      try {
        const url = library.buildAuthorizationUrl(configuration, parameters).href;
        const startedSecs = Math.floor(now() / 1000);
        return { url, state: { provider: settings.id, state, nonce, codeVerifier, redirectUri, startedSecs, ...(fresh ? { fresh } : {}) } };
      } catch (error) {
        // an endpoint without https, for instance
        throw failureOf(error, settings, []);
      }
    },

    async finish(callback: string, kept: OidcState | undefined): Promise<OidcSignedIn> {
      const brought = new URL(callback, 'http://localhost').searchParams;
      const state = sameSignIn(settings, kept, brought, now());
      const discovered = await discovery.get();
      const secrets = [brought.get('code') ?? undefined, state.codeVerifier, state.nonce, state.state];
      let claims: OidcClaims & { sub: string };
      let idToken: string | undefined;
      try {
        [claims, idToken] = await claimsOf(discovered, settings, brought, state, secrets);
      } catch (error) {
        throw failureOf(error, settings, secrets);
      }
      const verdict = judgedClaims(settings, claims);
      if (!('loginName' in verdict)) throw new OidcError('refused', verdict.words, { detail: verdict.reason });
      const user = await subjects.userOf({ settings, subject: claims.sub, loginName: verdict.loginName });
      return {
        user,
        provider: settings.id,
        ...(idToken === undefined ? {} : { logoutHint: idToken }),
        ...(state.fresh === undefined ? {} : { fresh: state.fresh }),
      };
    },

    async logoutUrl({ logoutHint, returnTo }): Promise<string | undefined> {
      try {
        const { library, configuration } = await discovery.get();
        if (configuration.serverMetadata().end_session_endpoint === undefined) return undefined;
        return library.buildEndSessionUrl(configuration, {
          ...(logoutHint === undefined ? {} : { id_token_hint: logoutHint }),
          ...(returnTo === undefined ? {} : { post_logout_redirect_uri: returnTo }),
        }).href;
      } catch {
        // whoever signs out here is signed out here, whatever the provider does
        return undefined;
      }
    },
  };
}

/** Whether the browser that came back is the one that was sent, before anything is asked of the provider. */
function sameSignIn({ id }: OidcSettings, kept: OidcState | undefined, brought: URLSearchParams, nowMillis: number): OidcState {
  const reason = kept === undefined ? 'no sign-in is on the way in this browser'
    : kept.provider !== id ? 'the sign-in on the way is with another provider'
    : brought.getAll('state').length !== 1 || brought.get('state') !== kept.state ? 'the state is not the one that was sent'
    : nowMillis / 1000 - kept.startedSecs > LOGIN_SECS ? 'begun too long ago'
    : undefined;
  if (reason !== undefined) throw new OidcError('stale', 'This sign-in has ended. Please sign in again.', { detail: `${id}: ${reason}` });
  return kept!;
}

async function claimsOf(
  { library, configuration }: Discovered,
  settings: OidcSettings,
  brought: URLSearchParams,
  state: OidcState,
  secrets: (string | undefined)[],
): Promise<[OidcClaims & { sub: string }, string | undefined]> {
  // of all that came, only the query: the token endpoint compares the rest with what was registered
  const url = new URL(state.redirectUri);
  url.search = brought.toString();
  const tokens = await library.authorizationCodeGrant(configuration, url, {
    expectedState: state.state,
    expectedNonce: state.nonce,
    pkceCodeVerifier: state.codeVerifier,
    ...(settings.maxAgeSecs === undefined ? {} : { maxAge: settings.maxAgeSecs }),
  });
  secrets.push(tokens.access_token, tokens.id_token, tokens.refresh_token);
  const claims = tokens.claims()!;
  if (state.fresh === true) requireFresh(settings, state, claims.auth_time);
  const lacks = settings.loginName !== undefined || wantedClaims(settings).some((name) => claimAt(claims, name) === undefined);
  if (!lacks || configuration.serverMetadata().userinfo_endpoint === undefined) return [claims, tokens.id_token];
  const { email_verified: verified, ...told } = await library.fetchUserInfo(configuration, tokens.access_token, claims.sub);
  // said of the address that stands beside it, and of no other one
  const isVerified = verified !== undefined && (claims.email === undefined || claims.email === told.email);
  // what is signed comes first
  return [{ ...told, ...(isVerified ? { email_verified: verified } : {}), ...claims }, tokens.id_token];
}

/** What was asked for in the address may have been taken out of it on the way: only what the provider signed counts. */
function requireFresh({ id, name, clockToleranceSecs }: OidcSettings, { startedSecs }: OidcState, authenticatedSecs: unknown): void {
  if (typeof authenticatedSecs === 'number' && authenticatedSecs >= startedSecs - clockToleranceSecs) return;
  throw new OidcError('refused', `${name} did not confirm that you signed in there just now.`, {
    detail: `${id}: ${authenticatedSecs === undefined ? 'the ID token has no auth_time' : 'auth_time is from before'}: the person was to sign in anew`,
  });
}

/** A sign-in without an account page: what it does with begin() and finish(), on a data folder and a real provider. */
import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import { openBuiltInAuth, type BuiltInAuth } from '../../../lib/auth/built-in.ts';
import { OidcError, type OidcProvider, type OidcReason, type OidcSignedIn, type OidcState } from '../../../lib/auth/oidc/oidc.ts';
import { oidcProviders } from '../../../lib/auth/oidc/oidc-providers.ts';
import type { OidcOptions } from '../../../lib/auth/oidc/settings.ts';
import { sqliteOidcSubjects } from '../../../lib/auth/oidc/subjects.ts';
import { dataFolder } from '../folder.ts';
import { Browser } from './browser.ts';
import { CLIENT, PEOPLE, type RealProvider } from './provider.ts';

/** Nothing listens there: the browser stops before it. */
export const REDIRECT_URI = 'http://127.0.0.1:9/anki/account/oidc/example/callback';

export function options(provider: RealProvider, more: Partial<OidcOptions> = {}): OidcOptions {
  return {
    id: 'example', name: 'Example Ltd', issuer: provider.issuer, clientId: CLIENT.id, clientSecret: CLIENT.secret, scopes: ['profile', 'email', 'groups'], ...more,
  };
}

export interface Page {
  auth: BuiltInAuth;
  provider: OidcProvider;
}

/** The providers of a new data folder, or of one that is open. */
export async function page(t: TestContext, given: OidcOptions, known?: BuiltInAuth): Promise<Page> {
  const auth = known ?? (await openBuiltInAuth(dataFolder()));
  if (known === undefined) t.after(() => auth.close());
  const [provider] = oidcProviders([given], sqliteOidcSubjects(auth.database, auth.authenticator)).list;
  return { auth, provider: provider! };
}

export interface WayBack {
  callback: string;
  state: OidcState;
}

/** To the provider and back, up to before finish(). */
export async function wayBack({ provider }: Page, who: string, form: Record<string, string> = {}, browser = new Browser()): Promise<WayBack> {
  const { url, state } = await provider.begin({ redirectUri: REDIRECT_URI });
  const callback = await browser.signIn(url, REDIRECT_URI, { user: who, password: PEOPLE[who]?.password ?? '', ...form });
  return { callback, state };
}

export async function signIn(at: Page, who: string, form?: Record<string, string>, browser?: Browser): Promise<OidcSignedIn> {
  const { callback, state } = await wayBack(at, who, form, browser);
  return at.provider.finish(callback, state);
}

/** What is wrong, in the person's words and the log's, and no secret in either. */
export async function failure(trying: Promise<unknown>, reason: OidcReason, secrets: readonly string[]): Promise<OidcError> {
  const error = await trying.then(() => assert.fail('was let in'), (each: unknown) => each);
  assert.ok(error instanceof OidcError, String((error as Error).stack));
  assert.equal(error.reason, reason, error.detail);
  for (const secret of secrets) assert.ok(!`${error.message} ${error.detail}`.includes(secret), error.detail);
  assert.doesNotMatch(error.detail, /[\r\n]/);
  return error;
}

/** All that this sign-in must tell nobody. */
export function secretsOf(provider: RealProvider, back?: WayBack): string[] {
  const code = back === undefined ? null : new URL(back.callback).searchParams.get('code');
  return [...provider.secrets, ...(back === undefined ? [] : [back.state.codeVerifier, back.state.nonce, back.state.state]), ...(code === null ? [] : [code])];
}

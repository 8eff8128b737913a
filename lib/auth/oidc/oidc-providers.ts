import { requireOidcLibrary } from './library.ts';
import type { OidcProvider, OidcProviders } from './oidc.ts';
import { oidcProvider } from './provider.ts';
import { checkOidcOptions, type OidcOptions } from './settings.ts';
import type { OidcSubjects } from './subjects.ts';

/**
 * Providers of OpenID Connect: Keycloak, Entra ID, Authentik, Google and the like. Needs the package `openid-client`. Asks none of them
 * anything before somebody wants to sign in, so that one that is down delays no start and no sync.
 *
 * @throws TypeError for a wrong option, Error when `openid-client` is not installed
 */
export function oidcProviders(options: readonly OidcOptions[], subjects: OidcSubjects): OidcProviders {
  const all = checkOidcOptions(options);
  if (all.length > 0) requireOidcLibrary();
  const list: readonly OidcProvider[] = all.map((settings) => oidcProvider(settings, subjects));
  return { list, get: (id) => list.find((provider) => provider.id === id) };
}

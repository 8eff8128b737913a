/** An optional peer: loaded at the first sign-in, so that nobody else has to have it. */
export type OidcLibrary = typeof import('openid-client');

let loading: Promise<OidcLibrary> | undefined;

export function loadOidcLibrary(): Promise<OidcLibrary> {
  loading ??= import('openid-client');
  return loading;
}

/** @throws Error that says what to install */
export function requireOidcLibrary(find: (name: string) => unknown = import.meta.resolve): void {
  try {
    find('openid-client');
  } catch (error) {
    throw new Error('signing in by OpenID Connect needs the package openid-client: npm install openid-client@6', { cause: error });
  }
}

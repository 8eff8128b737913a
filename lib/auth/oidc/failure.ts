import { redacted } from '../../redaction.ts';
import { OidcError } from './oidc.ts';
import type { OidcSettings } from './settings.ts';

/** What the library throws, and Node.js below it. */
interface Failure {
  name?: string;
  message?: string;
  code?: string;
  /** Of the provider: `invalid_grant`. */
  error?: string;
  error_description?: string;
  cause?: unknown;
}

/** Errors of RFC 6749 and OpenID Connect that a person brings back, and that are about the person. */
const CANCELLED = ['access_denied', 'consent_required', 'interaction_required', 'login_required', 'account_selection_required'];

/**
 * An error in the words of the person and of the log. What the provider wrote is cut, and the secrets of this sign-in are taken out of it:
 * some providers quote what they were sent.
 */
export function failureOf(error: unknown, settings: OidcSettings, secrets: readonly (string | undefined)[]): OidcError {
  if (error instanceof OidcError) return error;
  const failure = (error ?? {}) as Failure;
  const told = (words: string): string => redacted(`${settings.id}: ${oneLine(words)}`, [settings.clientSecret, ...secrets]);
  const said = failure.error === undefined ? undefined : [failure.error, failure.error_description].filter((each) => each !== undefined).join(', ');
  if (failure.code === 'OAUTH_AUTHORIZATION_RESPONSE_ERROR' && said !== undefined) {
    if (CANCELLED.includes(failure.error ?? '')) {
      return new OidcError('cancelled', `${settings.name} did not sign you in.`, { detail: told(`came back with ${said}`) });
    }
    return unavailable(settings, told(`came back with ${said}`));
  }
  if (failure.code === 'OAUTH_RESPONSE_BODY_ERROR' && said !== undefined) {
    // used before, or too old, or for another redirect URI
    if (failure.error === 'invalid_grant') {
      return new OidcError('stale', 'This sign-in has ended. Please sign in again.', { detail: told(`the code was refused: ${said}`) });
    }
    const why = /^(invalid|unauthorized)_client$/.test(failure.error ?? '') ? 'the provider refuses clientId or clientSecret' : 'the provider refused';
    return unavailable(settings, told(`${why}: ${said}`));
  }
  if (failure.code === 'OAUTH_WWW_AUTHENTICATE_CHALLENGE') return unavailable(settings, told('the provider refuses clientId or clientSecret: 401'));
  return unavailable(settings, told(causes(failure)));
}

function unavailable({ name }: OidcSettings, detail: string): OidcError {
  return new OidcError('unavailable', `Signing in through ${name} is not possible now. Please try again later.`, { detail });
}

/** `fetch failed: connect ECONNREFUSED 127.0.0.1:443`. Only messages: what hangs on them may be a whole token. */
function causes(failure: Failure): string {
  const words: string[] = [];
  let each: Failure | undefined = failure;
  while (each !== undefined && words.length < 4) {
    const word = each.message !== undefined && each.message !== '' ? each.message : (each.code ?? each.name ?? 'no answer');
    if (!words.includes(word)) words.push(word);
    each = each.cause instanceof Error ? (each.cause as Failure) : undefined;
  }
  return words.join(': ');
}

function oneLine(words: string): string {
  return words.replaceAll(/[\p{Cc}\u2028\u2029]+/gu, ' ').trim().slice(0, 300);
}

import { createHmac, timingSafeEqual } from 'node:crypto';
import { headerOf, type HttpRequest } from '../http.ts';
import { PageError } from './page-error.ts';

/** In each form: made of the cookie, which no other site can read or guess, and useless without it. */
export function csrfTokenOf(cookieToken: string): string {
  return createHmac('sha256', cookieToken).update('anki-sync account form').digest('base64url');
}

export function isCsrfToken(sent: string, cookieToken: string): boolean {
  const right = csrfTokenOf(cookieToken);
  return sent.length === right.length && timingSafeEqual(Buffer.from(sent), Buffer.from(right));
}

/**
 * Refuses forms that another site sent, by what browsers say of themselves. With `no-referrer`, which our pages have, they send `Origin: null`
 * for our own forms, and old ones do not send `Sec-Fetch-Site`: then the token alone decides, as it does in any case.
 *
 * @param ownHosts host and port of the server, as clients know them
 * @throws PageError
 */
export function requireSameSite(http: HttpRequest, ownHosts: readonly string[]): void {
  const site = headerOf(http, 'sec-fetch-site');
  const origin = headerOf(http, 'origin');
  const isForeign = origin !== undefined && origin !== 'null' && !(URL.canParse(origin) && ownHosts.includes(new URL(origin).host));
  if (isForeign || (site !== undefined && site !== 'same-origin' && site !== 'none')) {
    throw new PageError(403, 'This form was sent by another page, so nothing was done.', { detail: 'a form of another origin' });
  }
}

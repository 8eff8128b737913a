import { randomBytes } from 'node:crypto';
import { headerOf, type HttpRequest } from '../http.ts';

/** 256 random bits. */
const TOKEN = /^[A-Za-z0-9_-]{43}$/;
const SEALED = /^[A-Za-z0-9_-]{1,3000}$/;

/** What the one cookie holds. */
export interface AccountCookie {
  /** Names the session, or, before anybody has signed in, the browser that a form was made for. */
  token: string;
  /** What a sign-in at a provider needs when it comes back, sealed. */
  sealed?: string | undefined;
}

export function newToken(): string {
  return randomBytes(32).toString('base64url');
}

/**
 * `__Secure-` where the connection is: a page of the same host without encryption cannot set it then. Not `__Host-`, which would go to all
 * paths of the host, and other applications are mounted there.
 */
function nameOf(http: HttpRequest): string {
  return http.scheme === 'https' ? '__Secure-anki-account' : 'anki-account';
}

/** Undefined where there is none, or one that we did not make. */
export function cookieOf(http: HttpRequest): AccountCookie | undefined {
  const header = http.headers['cookie'];
  const all = (typeof header === 'string' ? header : (header ?? []).join(';')).split(';');
  const prefix = `${nameOf(http)}=`;
  const value = all.map((each) => each.trim()).find((each) => each.startsWith(prefix))?.slice(prefix.length);
  const [token = '', sealed, ...rest] = (value ?? '').split('.');
  if (!TOKEN.test(token) || rest.length > 0) return undefined;
  return sealed !== undefined && SEALED.test(sealed) ? { token, sealed } : { token };
}

/**
 * `SameSite=Lax`: not `Strict`, with which the way back from a provider would come without it.
 *
 * @param path of the account page: `/anki/account`
 */
export function setCookie(http: HttpRequest, path: string, { token, sealed }: AccountCookie): Record<string, string> {
  const value = sealed === undefined ? token : `${token}.${sealed}`;
  return { 'set-cookie': `${nameOf(http)}=${value}; Path=${path}; HttpOnly; SameSite=Lax${http.scheme === 'https' ? '; Secure' : ''}` };
}

/** The site that sent a request, as far as browsers say. */
export function hostOf(http: HttpRequest): string {
  return headerOf(http, 'host') ?? 'localhost';
}

import type { HttpResponse } from '../http.ts';
import type { Html } from './html.ts';

/**
 * No script and no style but those of our own files, no frames, nothing from elsewhere. `no-referrer` makes browsers send `Origin: null` with
 * our own forms: see csrf.ts.
 */
const PAGE_HEADERS: Readonly<Record<string, string>> = {
  'content-type': 'text/html; charset=utf-8',
  'content-security-policy':
    "default-src 'none'; style-src 'self'; script-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
  'referrer-policy': 'no-referrer',
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
  'cache-control': 'no-store',
};

export function pageAnswer(status: number, page: Html, more: Record<string, string> = {}): HttpResponse {
  return whole(status, { ...PAGE_HEADERS, ...more }, page.text);
}

/** The answer to every change: a reload does not repeat it. */
export function seeOther(location: string, more: Record<string, string> = {}): HttpResponse {
  const { 'content-type': _, ...headers } = PAGE_HEADERS;
  return whole(303, { ...headers, location, ...more }, '');
}

/** A file of our own, of which another version has another address. */
export function assetAnswer(contentType: string, text: string): HttpResponse {
  return whole(200, {
    'content-type': contentType,
    'x-content-type-options': 'nosniff',
    'cross-origin-resource-policy': 'same-origin',
    'cache-control': 'public, max-age=86400',
  }, text);
}

function whole(status: number, headers: Record<string, string>, text: string): HttpResponse {
  const body = Buffer.from(text);
  return { status, headers: { ...headers, 'content-length': String(body.length) }, body };
}

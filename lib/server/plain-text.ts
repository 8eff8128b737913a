/** An answer for whoever watches the server. */
import type { HttpResponse } from '../http.ts';

export function plainText(status: number, text: string): HttpResponse {
  const body = Buffer.from(`${text}\n`);
  return { status, headers: { 'content-type': 'text/plain; charset=utf-8', 'content-length': String(body.length), 'cache-control': 'no-store' }, body };
}

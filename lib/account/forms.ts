import { headerOf, type HttpRequest } from '../http.ts';
import { openBody } from '../protocol/body-source.ts';
import { SyncError } from '../errors.ts';
import { PageError } from './page-error.ts';

/** All fields of any of our forms together. */
const MAX_FORM_BYTES = 16 * 1024;
const MAX_FIELDS = 50;

/** The fields of a form that was sent. */
export interface Form {
  /** Empty for a field that was not sent. */
  text(name: string): string;
  has(name: string): boolean;
}

/** @throws PageError for what no form of ours sends */
export async function readForm(http: HttpRequest): Promise<Form> {
  const type = (headerOf(http, 'content-type') ?? '').split(';', 1)[0]!.trim().toLowerCase();
  if (type !== 'application/x-www-form-urlencoded') throw new PageError(415, 'This page takes its own forms only.');
  const body = openBody({ bytes: http.body, contentLength: Number(headerOf(http, 'content-length') ?? 0) || undefined }, MAX_FORM_BYTES);
  const chunks: Uint8Array[] = [];
  try {
    for (let chunk = await body.next(); chunk !== null; chunk = await body.next()) chunks.push(chunk);
  } catch (error) {
    body.discard();
    if (!(error instanceof SyncError) || error.code !== 'BODY_TOO_LARGE') throw error;
    throw new PageError(413, 'What was sent is too long for this form.', { code: error.code });
  }
  const fields = new URLSearchParams(Buffer.concat(chunks).toString());
  const values = new Map<string, string>();
  for (const [name, value] of fields) {
    if (values.size >= MAX_FIELDS || values.has(name)) {
      throw new PageError(400, 'This form was not sent as it was shown. Please load the page again.');
    }
    requireText(value);
    values.set(name, value);
  }
  return { text: (name) => values.get(name) ?? '', has: (name) => values.has(name) };
}

/** Of what comes in an address or in a form. Broken UTF-8 has become U+FFFD. @throws PageError */
export function requireText(value: string): void {
  if (/[\u0000\ufffd]/.test(value)) throw new PageError(400, 'A field holds characters that cannot be used.');
}

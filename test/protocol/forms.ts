/** Forms as clients were seen to send them. */

export interface FormPart {
  name: string;
  value: string | Uint8Array;
  /** As a file, with a content type, as the data come. */
  file?: boolean;
}

export const REQWEST_BOUNDARY = '7445a0e9b5f0b1c3-1f6f1ab0a2c0d1e4-73870f2327ba2493-88843b29044626f3';
export const PYTHON_BOUNDARY = 'Anki-sync-boundary';

export function contentType(boundary: string): string {
  return `multipart/form-data; boundary=${boundary}`;
}

export function formOf(boundary: string, parts: readonly FormPart[], end = `--${boundary}--\r\n`): Buffer {
  const ofFile = '; filename="data"\r\nContent-Type: application/octet-stream';
  const pieces = parts.flatMap(({ name, value, file }) => [
    Buffer.from(`--${boundary}\r\nContent-Disposition: form-data; name="${name}"${file ? ofFile : ''}\r\n\r\n`),
    Buffer.from(value),
    Buffer.from('\r\n'),
  ]);
  return Buffer.concat([...pieces, Buffer.from(end)]);
}

/** 2.1.28 to 2.1.56: the data first. */
export function rustForm(data: Uint8Array, fields: { c?: string; k?: string; sk?: string; s?: string }): Buffer {
  const others = Object.entries(fields).map(([name, value]) => ({ name, value }));
  return formOf(REQWEST_BOUNDARY, [{ name: 'data', value: data, file: true }, ...others]);
}

/** 2.1.26 and before, and AnkiDroid before 2.16: the keys first. AnkiDroid does not end a form without data. */
export function pythonForm(fields: Record<string, string>, data?: Uint8Array, end?: string): Buffer {
  const parts: FormPart[] = Object.entries(fields).map(([name, value]) => ({ name, value }));
  return formOf(PYTHON_BOUNDARY, data === undefined ? parts : [...parts, { name: 'data', value: data, file: true }], end);
}

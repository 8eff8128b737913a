/** Shorter ones would be found in every second word, and protect nothing. */
const LEAST_CHARS = 4;

/** The text without the secrets of the request that it is about, in whatever form libraries quote them in their errors. */
export function redacted(text: string, secrets: readonly (string | undefined)[]): string {
  let clean = text;
  for (const secret of secrets) {
    if (secret === undefined || secret.length < LEAST_CHARS) continue;
    for (const form of formsOf(secret)) clean = clean.replaceAll(form, '[secret]');
  }
  return clean;
}

function formsOf(secret: string): Set<string> {
  const bytes = Buffer.from(secret);
  return new Set([
    secret,
    secret.normalize('NFC'),
    secret.normalize('NFD'),
    JSON.stringify(secret).slice(1, -1),
    encodeURIComponent(secret.toWellFormed()),
    new URLSearchParams({ s: secret }).toString().slice(2),
    bytes.toString('hex'),
    bytes.toString('base64'),
    bytes.toString('base64url'),
  ]);
}

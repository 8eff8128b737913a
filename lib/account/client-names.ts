/** How devices describe themselves → words. */

const PLATFORMS: readonly (readonly [RegExp, string])[] = [
  [/^android/i, 'AnkiDroid'],
  [/^(ios|ipad|iphone)/i, 'AnkiMobile'],
  [/^win/i, 'Anki on Windows'],
  [/^(mac|darwin)/i, 'Anki on a Mac'],
  [/^lin/i, 'Anki on Linux'],
];

/**
 * `26.09.3,86b5a9e2,lin` or `anki,2.1.66 (70506aeb),mac:14` → `Anki on Linux, version 26.09.3`. Whatever has another form stays as it is;
 * old clients send nothing.
 */
export function clientName(client: string): string {
  const [, version, platform] = /^(?:anki\w*,)?\s*v?(\d[\w.]*)[^,]*,(?:[^,]*,)?\s*(\w[^,]*)$/i.exec(client) ?? [];
  const found = platform === undefined ? undefined : PLATFORMS.find(([pattern]) => pattern.test(platform));
  if (version !== undefined && found !== undefined) return `${found[1]}, version ${version}`;
  return client.trim() === '' ? 'an old version of Anki' : client;
}

/** What a client says of itself, for people: which of their devices this is. */

/** Of `mac:14.1`, `lin:ubuntu:22.04`, `linux`. */
const SYSTEMS = new Map([
  ['win', 'Windows'], ['windows', 'Windows'], ['mac', 'macOS'], ['macos', 'macOS'], ['darwin', 'macOS'], ['lin', 'Linux'], ['linux', 'Linux'],
  ['android', 'Android'], ['ios', 'iOS'],
]);
const APPS = new Map([['anki', 'Anki'], ['ankidesktop', 'Anki'], ['ankidroid', 'AnkiDroid'], ['ankimobile', 'AnkiMobile']]);
/** Apps that bring Anki along; what names itself `anki` there is them. */
const APP_OF_SYSTEM = new Map([['Android', 'AnkiDroid'], ['iOS', 'AnkiMobile']]);
const MAX_CHARS = 80;

/**
 * `Anki 26.9.3, Ubuntu 22.04`; `AnkiDroid 2.23.3, Pixel 7, Android 14`. Clients have three forms: `26.9.3,<build>,<system>` in the header of
 * each request (rslib `version.rs`, where AnkiDroid's own version and model are missing), `anki,26.9.3 (<build>),<system>:…` in `meta`, and
 * `ankidesktop,2.1.26,…` of the old ones. Anything else is shown as it is, without what cannot be shown.
 *
 * Plain text from outside: to be escaped.
 */
export function deviceName(client: string): string {
  const clean = client.replaceAll(/[\p{C}\p{Zl}\p{Zp}]/gu, ' ').trim();
  if (clean === '') return 'unknown client';
  const parts = clean.split(',').map((part) => part.trim());
  const isShort = /^\d/.test(parts[0]!);
  const app = isShort ? 'Anki' : APPS.get(parts[0]!.toLowerCase());
  const version = /^v?(\d[\w.+-]*)/.exec((isShort ? parts[0] : parts[1]) ?? '')?.[1];
  if (app === undefined || version === undefined) return cut(clean);
  const [kind = '', ...details] = (parts[2] ?? '').split(':').map((part) => part.trim());
  const system = SYSTEMS.get(kind.toLowerCase()) ?? kind;
  return cut([appAndVersion(app, version, system, details), ...systemOf(system, details)].filter((word) => word !== '').join(', '));
}

function appAndVersion(app: string, version: string, system: string, details: readonly string[]): string {
  const own = app === 'Anki' ? APP_OF_SYSTEM.get(system) : undefined;
  if (own === undefined) return `${app} ${version}`;
  // the version is that of Anki inside
  return system === 'Android' && details[0] !== undefined ? `${own} ${details[0]}` : `${own} (Anki ${version})`;
}

function systemOf(system: string, details: readonly string[]): string[] {
  switch (system) {
    case 'Android':
      return details.length >= 3 ? [details[2]!, `Android ${details[1]}`] : [];
    case 'iOS':
      return [];
    case 'Linux': {
      const [name = '', version = ''] = details;
      return [name === '' || name === 'unknown' ? system : `${name[0]!.toUpperCase()}${name.slice(1)} ${version}`.trim()];
    }
    default:
      return [[system, ...details].join(' ').trim()];
  }
}

function cut(text: string): string {
  const chars = [...text];
  return chars.length <= MAX_CHARS ? text : `${chars.slice(0, MAX_CHARS - 1).join('')}…`;
}

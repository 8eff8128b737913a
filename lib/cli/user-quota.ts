/** `anki-sync user quota`: what one user may have, other than everybody else. */
import type { Quota } from '../auth/authenticator.ts';
import { bytesIn } from '../byte-sizes.ts';
import { sized } from './quantities.ts';
import { UsageError } from './usage-error.ts';
import type { Call } from './user.ts';

/** Without flags, tells what was set. */
export async function quota({ users, name, flags, say }: Call): Promise<number> {
  const all = flags.has('off') ? 0 : flags.has('default') ? null : undefined;
  const isEach = flags.has('collection') || flags.has('media');
  if ((flags.has('off') && flags.has('default')) || (all !== undefined && isEach)) {
    throw new UsageError('--off and --default are for collection and media together; for one of them: --collection off, --media default');
  }
  const isChange = all !== undefined || isEach;
  const { loginName, quota: own } = isChange
    ? await users.setQuota(name, { collectionBytes: given(flags, 'collection', all), mediaBytes: given(flags, 'media', all) })
    : users.named(name);
  say(`"${loginName}" may have: ${['collection', 'media'].map((what) => `${what} ${limit(own, what)}`).join(', ')}`);
  return 0;
}

/** For the list of users; undefined of those who have what everybody has. */
export function quotaMark(own: Quota | undefined): string | undefined {
  if (own === undefined) return undefined;
  const words = ['collection', 'media'].filter((what) => ownOf(own, what) !== undefined).map((what) => `${what} ${limit(own, what)}`);
  return `quota: ${words.join(', ')}`;
}

function given(flags: ReadonlyMap<string, string>, flag: 'collection' | 'media', all: 0 | null | undefined): number | null | undefined {
  const text = flags.get(flag);
  if (text === undefined) return all;
  if (text === 'off') return 0;
  if (text === 'default') return null;
  const bytes = bytesIn(text);
  if (bytes === undefined) throw new UsageError(`--${flag} takes a size like 200M or 2G, off or default, not "${text}"`);
  return bytes;
}

function limit(own: Quota | undefined, what: string): string {
  const bytes = ownOf(own, what);
  if (bytes === undefined) return 'as everybody';
  return bytes === 0 ? 'without limit' : sized(bytes);
}

function ownOf(own: Quota | undefined, what: string): number | undefined {
  return what === 'collection' ? own?.maxCollectionBytes : own?.maxMediaBytes;
}

import type { OldSettings } from './old-settings.ts';

/** Rewrites the paths that an old server was told to answer at; ours go on to work. Undefined where nothing is to be rewritten. */
export function oldPaths({ baseUrl = '/sync/', baseMediaUrl = '/msync/' }: OldSettings): ((url: string) => string) | undefined {
  const pairs: [string, string][] = [[baseUrl, '/sync/'], [baseMediaUrl, '/msync/']];
  // the longer one first: one of them may lie below the other
  const changed = pairs.filter(([from, to]) => from !== to).sort(([one], [other]) => other.length - one.length);
  if (changed.length === 0) return undefined;
  return (url) => {
    if (pairs.some(([, to]) => url.startsWith(to)) || /^\/(health)?([?#]|$)/.test(url)) return url;
    const found = changed.find(([from]) => url.startsWith(from));
    return found === undefined ? url : found[1] + url.slice(found[0].length);
  };
}

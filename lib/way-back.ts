/** For the log line of a damaged collection: the commands that bring it back. `snapshot` is the newest there is. */
export function wayBack(snapshot: string | undefined, user: string, base: string): string {
  const restore = (from: string): string => `anki-sync restore ${shellWord(user)} ${from} --base ${shellWord(base)}`;
  const backup = `stop the server, then bring it back from a backup: ${restore('--from BACKUP')}`;
  if (snapshot === undefined) return `${backup}; without one, move the file away: the next device that syncs uploads its own`;
  return `${backup}; or as it was before the last full upload: ${restore(`--snapshot ${snapshot}`)}`;
}

/** As a POSIX shell takes it for one word. */
export function shellWord(text: string): string {
  return /^[\w./:@%+=-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}

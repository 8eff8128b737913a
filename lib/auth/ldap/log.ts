/** What the directory's part of the log tells. Has the form of the server's own entries, so that the same function takes both. */
export interface LdapLogEntry {
  level: 'info' | 'warn' | 'error';
  request: 'ldap';
  status: 0;
  ms: 0;
  /** Login name. */
  user?: string;
  /** Holds no password. */
  detail: string;
}

export type LdapLog = (entry: LdapLogEntry) => void;

/** A log that fails is no reason to fail a login. */
export function telling(log: LdapLog | undefined): (level: LdapLogEntry['level'], detail: string, user?: string) => void {
  return (level, detail, user) => {
    try {
      log?.({ level, request: 'ldap', status: 0, ms: 0, ...(user === undefined ? {} : { user }), detail });
    } catch {
      // nobody else to tell
    }
  };
}

export type Tell = ReturnType<typeof telling>;

import { constants } from 'node:os';

/** Node has no name for the error of a quota that is used up: this is its code from calls that answer later; from others it is `UNKNOWN`. */
const NAMELESS_EDQUOT = `Unknown system error -${constants.errno.EDQUOT}`;

/** Whether an error of SQLite or the system says that there is no space left, on the disk or for its owner. */
export function isFullDisk(error: unknown): boolean {
  const { code, errno } = (error ?? {}) as { code?: unknown; errno?: unknown };
  return code === 'SQLITE_FULL' || code === 'ENOSPC' || code === 'EDQUOT' || code === NAMELESS_EDQUOT
    || (code === 'UNKNOWN' && errno === -constants.errno.EDQUOT);
}

/** Whether an error of SQLite or the system says that the disk cannot be read or written: it fails, is read-only, or is not ours. */
export function isFailingDisk(error: unknown): boolean {
  const { code } = (error ?? {}) as { code?: unknown };
  return typeof code === 'string' && /^(SQLITE_(READONLY|IOERR|CANTOPEN|PERM|NOLFS)(_|$)|E(ROFS|ACCES|PERM|IO|NOTDIR|ISDIR|NODEV|STALE|NXIO)$)/.test(code);
}

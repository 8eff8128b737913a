import { constants } from 'node:os';

/** Node has no name for the error of a quota that is used up. */
const NAMELESS_EDQUOT = `Unknown system error -${constants.errno.EDQUOT}`;

/** Whether the code of an error of SQLite or the system says that there is no space left, on the disk or for its owner. */
export function isFullDisk(code: unknown): boolean {
  return code === 'SQLITE_FULL' || code === 'ENOSPC' || code === 'EDQUOT' || code === NAMELESS_EDQUOT;
}

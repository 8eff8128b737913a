import { join } from 'node:path';
import type { UserPlace } from '../storage.ts';

/** `<base>/<folder>`. The folder was given out by the user database; a name that is no single path segment is a defect there. */
export function userFolder(base: string, user: UserPlace): string {
  if (user.folder === '' || user.folder === '.' || user.folder === '..' || /[/\\\0]/.test(user.folder)) {
    throw new Error('the folder of a user must be one path segment');
  }
  return join(base, user.folder);
}

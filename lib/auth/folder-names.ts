import { createHash } from 'node:crypto';
import { loginKey } from './login-names.ts';
import { UsersError } from './users-error.ts';

/** Long enough for any name people have, short enough for file systems that allow 143 bytes after encryption and for suffixes of ours. */
const MAX_PORTABLE_BYTES = 120;

/** Invisible characters: some file systems ignore them, so that two names would be one folder. */
const INVISIBLE = /\p{Default_Ignorable_Code_Point}/u;
const WINDOWS_FORBIDDEN = /[<>:"|?*]/;
const WINDOWS_DEVICE = /^(con|prn|aux|nul|conin\$|conout\$|(com|lpt)[0-9¹²³])(\..*)?$/iu;
/** `MILLER~1` is a second name of another folder on NTFS. */
const WINDOWS_SHORT_NAME = /~\d/;
const ENCODED = /^user=[0-9a-f]{32}$/i;

/**
 * Whether a name is one path segment below the base and nothing else, on every system.
 * A leading dot belongs to us (`.anki-sync`) and to hidden files.
 */
export function isSingleSegment(name: string): boolean {
  return name !== '' && !name.startsWith('.') && !/[/\\\p{Cc}]/u.test(name) && name.isWellFormed() && !ENCODED.test(name)
    && Buffer.byteLength(name) <= 255;
}

/** Whether a name can be a new folder on every file system, so that the data folder can be moved between them. */
export function isPortableFolder(name: string): boolean {
  return isSingleSegment(name) && Buffer.byteLength(name) <= MAX_PORTABLE_BYTES && !/^\s|[\s.]$/u.test(name)
    && !WINDOWS_FORBIDDEN.test(name) && !WINDOWS_DEVICE.test(name) && !WINDOWS_SHORT_NAME.test(name) && !INVISIBLE.test(name);
}

/** The folder of a name that cannot be one itself. Never equal to a name taken as it is: `isSingleSegment` refuses this form. */
export function encodedFolder(key: string): string {
  return `user=${createHash('sha256').update(key).digest('hex').slice(0, 32)}`;
}

/**
 * Coarser than the folding of any file system, and than our own of login names: two folders with different folds are
 * different everywhere. First to lower case, because only ß has the upper case SS, and ẞ has not.
 */
export function foldFolder(folder: string): string {
  return folder.normalize('NFKC').toLowerCase().toUpperCase().toLowerCase().normalize('NFKC');
}

export interface FolderChoice {
  loginName: string;
  caseSensitive: boolean;
  /** What lies in the base folder now; entries of another fold may be left out. */
  entries: readonly { name: string; isFolder: boolean }[];
  /** Folders of other users; those of another fold may be left out. */
  taken: readonly string[];
}

/**
 * The folder of a new user. As the official server lays it out (`<base>/<name>/`) where that is safe; a folder that is
 * there already is adopted with its own spelling. Any other name, and one that a case-insensitive file system would take
 * for another user's folder, gets an encoded folder.
 *
 * @throws UsersError FOLDER_AMBIGUOUS
 */
export function chooseFolder({ loginName, caseSensitive, entries, taken }: FolderChoice): string {
  const key = loginKey(loginName, caseSensitive);
  const encoded = encodedFolder(key);
  if (!isSingleSegment(loginName)) return encoded;

  const adoptable = entries.filter((entry) => entry.isFolder && isSingleSegment(entry.name)
    && loginKey(entry.name.normalize('NFC'), caseSensitive) === key && !taken.includes(entry.name));
  const exact = adoptable.find((entry) => entry.name === loginName) ?? adoptable.find((entry) => entry.name.normalize('NFC') === loginName);
  if (exact !== undefined) return exact.name;
  if (adoptable.length > 1) {
    const names = adoptable.map((entry) => `"${entry.name}"`).join(' and ');
    throw new UsersError('FOLDER_AMBIGUOUS', `the folders ${names} differ only in case, and user names in this data folder do not: rename one of them`);
  }
  if (adoptable[0] !== undefined) return adoptable[0].name;

  const fold = foldFolder(loginName);
  const clashes = [...taken, ...entries.map((entry) => entry.name)].some((name) => foldFolder(name) === fold);
  return isPortableFolder(loginName) && !clashes ? loginName : encoded;
}

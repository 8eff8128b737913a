/** The protocol's own limits, as Anki's client and server have them. */

/** Files in one zip, either way. */
export const MAX_FILES_IN_ZIP = 25;
/** Once a zip holds more than this, nothing is added to it. */
export const TARGET_ZIP_BYTES = 2.5 * 1024 * 1024;
export const MAX_FILE_BYTES = 100 * 1024 * 1024;
/** In UTF-8. Clients today stay below 120; older ones did not. */
export const MAX_NAME_BYTES = 255;
/** Of an upload's `_meta`, unpacked. 25 names fit however they are escaped. */
export const MAX_META_BYTES = 50 * 1024;
/** Rows in one answer of `mediaChanges`. */
export const CHANGES_PER_PAGE = 1000;

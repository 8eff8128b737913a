/** Which media names may be file names as they are. */

/** Characters and names that Windows refuses, takes for a device, a stream or a path, or silently shortens. */
const NOT_ON_WINDOWS = /[<>:"/\\|?*\u0000-\u001f]|[. ]$|^(con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³]|conin\$|conout\$)\s*(\.|$)/i;

/** Names that would leave the folder or end early on any system: they must never reach a store. */
export function isUnsafeName(name: string): boolean {
  return name === '' || name === '.' || name === '..' || /[/\0]/.test(name) || !name.isWellFormed();
}

/** Whether files of this platform may have the name. Longer names than the file system holds are found out when it is tried. */
export function isFileName(name: string, platform: NodeJS.Platform = process.platform): boolean {
  return platform !== 'win32' || !NOT_ON_WINDOWS.test(name);
}

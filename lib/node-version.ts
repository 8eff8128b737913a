/** Imported first by the front door, for its effect: an older Node would fail later, in words that help nobody. */
const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
if (major < 24 || (major === 24 && minor < 7)) {
  throw new Error(`anki-sync-middleware needs Node.js 24.7 or newer, and this is ${process.versions.node}`);
}
export {};

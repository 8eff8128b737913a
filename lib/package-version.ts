import { createRequire } from 'node:module';

export function packageVersion(): string {
  const { version } = createRequire(import.meta.url)('anki-sync-middleware/package.json') as { version: string };
  return version;
}

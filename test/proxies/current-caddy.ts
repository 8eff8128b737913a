/** A current Caddy, beside Debian's: built through the Go module proxy, once, into the project's cache. */
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

export const CURRENT_CADDY_VERSION = 'v2.11.9';
/** The project's cache, which may be closed to a user without rights. */
export const CACHE = fileURLToPath(new URL('../../.cache/', import.meta.url));

const PACKAGE = 'github.com/caddyserver/caddy/v2/cmd/caddy';
const FOLDER = join(CACHE, `caddy-${CURRENT_CADDY_VERSION}`);
const COMMAND = join(FOLDER, 'caddy');
/** Why there is none: from `npm test`, which tried before it began the suites that ask. */
const WHY_MISSING = 'CURRENT_CADDY_MISSING';
/** Of downloading, and of building: each takes two or three minutes where nothing else runs. Past that it is taken for missing. */
const LIMIT_MILLIS = 15 * 60_000;

const run = promisify(execFile);

/** Without Go of the right version, or without a way to the module proxy: nobody's fault. */
export class CaddyMissing extends Error {}

export type CurrentCaddy = { command: string } | { missing: string };

/** What is there by now. */
export function currentCaddy(): CurrentCaddy {
  if (existsSync(COMMAND)) return { command: COMMAND };
  return { missing: process.env[WHY_MISSING] ?? 'it takes minutes to build: npm test and npm run try:caddy do, and keep it' };
}

/** For the suites that are begun from here on. */
export function tellWhyMissing(why: CaddyMissing): void {
  process.env[WHY_MISSING] = why.message;
}

/**
 * Takes minutes, at a low priority, 1.1 GB of memory, and 1.7 GB of disk in Go's own caches.
 *
 * @throws CaddyMissing, and Error when all is there and it cannot be built
 */
export async function buildCurrentCaddy(): Promise<string> {
  if (existsSync(COMMAND)) return COMMAND;
  const folder = `${FOLDER}.${process.pid}`;
  await mkdir(folder, { recursive: true });
  try {
    await writeFile(join(folder, 'go.mod'), 'module anki-sync/caddy\n');
    await go(folder, 'version').catch((error: unknown) => missing('there is no Go', error));
    await go(folder, 'get', `${PACKAGE}@${CURRENT_CADDY_VERSION}`).catch((error: unknown) => missing('the Go module proxy does not give it', error));
    await go(folder, 'build', '-trimpath', '-buildvcs=false', '-o', 'caddy', PACKAGE).catch((error: unknown) => {
      if ((error as { killed?: boolean }).killed === true) missing('the machine is too slow', error);
      throw error;
    });
    await rm(FOLDER, { recursive: true, force: true });
    await rename(folder, FOLDER);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
  return COMMAND;
}

function go(cwd: string, ...args: string[]): Promise<unknown> {
  // no other Go than the one that is there, and no module from elsewhere
  const env = { ...process.env, GOTOOLCHAIN: 'local', GOFLAGS: '', GOWORK: 'off', GOVCS: '*:off' };
  return run('nice', ['-n', '5', 'go', ...args], { cwd, env, timeout: LIMIT_MILLIS, maxBuffer: 16 * 1024 ** 2 });
}

function missing(what: string, error: unknown): never {
  const { stderr = '', killed = false } = error as { stderr?: string; killed?: boolean };
  const why = killed ? 'not within 15 minutes' : (stderr.trim().split('\n').findLast((line) => !/^go: (downloading|added|upgraded)/.test(line)) || String(error)).trim();
  throw new CaddyMissing(`Caddy ${CURRENT_CADDY_VERSION} cannot be built here, ${what}: ${why}`, { cause: error });
}

/**
 * Settings of an old community server: `ankisyncd.conf` and ANKISYNCD_…, of which the environment is stronger, as there.
 * Ours (flags, SYNC_…) are stronger than both.
 */
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { hint } from '../spelling.ts';
import type { Environment } from './settings.ts';
import { UsageError } from './usage-error.ts';

export interface OldSettings {
  host?: string;
  port?: string;
  /** Absolute: where the old server's users are. */
  dataFolder?: string;
  /** Absolute. */
  authDb?: string;
  leastLevel?: 'info' | 'warn' | 'error';
  /** Paths under which old clients look for the methods, with slashes around: `/sync/`. */
  baseUrl?: string;
  baseMediaUrl?: string;
  /** Names of variables and files that were found; empty without any. */
  found: string[];
  warnings: string[];
}

const KNOWN = ['host', 'port', 'data_root', 'collections_path', 'auth_db_path', 'log_level', 'base_url', 'base_media_url'] as const;
type Known = (typeof KNOWN)[number];

/** Why these have no effect here. */
const WITHOUT_EFFECT: Record<string, string> = {
  session_db_path: 'host keys are kept in the data folder',
  url: 'it was for the tests of the old server',
  username: 'use SYNC_USER1=name:password',
  password: 'use SYNC_USER1=name:password',
  full_sync_manager: OWN_CODE(),
  session_manager: OWN_CODE(),
  persistence_manager: OWN_CODE(),
  user_manager: OWN_CODE(),
  collection_wrapper: OWN_CODE(),
};

function OWN_CODE(): string {
  return 'code of your own is given to createSyncServer';
}

const LEVELS: Record<string, OldSettings['leastLevel']> = {
  DEBUG: 'info', INFO: 'info', WARNING: 'warn', WARN: 'warn', ERROR: 'error', CRITICAL: 'error', FATAL: 'error',
};

interface Setting {
  value: string;
  /** The variable or the file, for messages. */
  from: string;
  file?: string;
}

/**
 * @param givenFile `--ankisyncd-conf`; without it, the file is looked for where the old server did
 * @throws UsageError
 */
export function oldSettings(givenFile: string | undefined, env: Environment, homeFolder: string): OldSettings {
  const file = givenFile === undefined ? findFile(env, homeFolder) : resolve(givenFile);
  const settings = new Map<string, Setting>();
  if (file !== undefined) for (const [key, value] of readIni(file)) settings.set(key, { value, from: `${key} in ${file}`, file });
  for (const [name, value] of Object.entries(env)) {
    // Compose files hand on a variable that nobody set as an empty one
    if (name.startsWith('ANKISYNCD_') && value !== undefined && value !== '') settings.set(name.slice(10).toLowerCase(), { value, from: name });
  }
  const get = (key: Known): Setting | undefined => settings.get(key);
  const result: OldSettings = {
    found: [...(file === undefined ? [] : [file]), ...[...settings.values()].filter((each) => each.file === undefined).map(({ from }) => from)],
    warnings: warningsAbout(settings),
  };
  const host = get('host')?.value;
  const port = get('port')?.value;
  const data = get('collections_path') ?? get('data_root');
  const auth = get('auth_db_path');
  const level = get('log_level');
  if (host !== undefined) result.host = host;
  if (port !== undefined) result.port = port;
  if (data !== undefined) result.dataFolder = pathOf(data);
  if (auth !== undefined) result.authDb = pathOf(auth);
  if (level !== undefined) result.leastLevel = levelOf(level);
  const baseUrl = get('base_url');
  const baseMediaUrl = get('base_media_url');
  if (baseUrl !== undefined) result.baseUrl = urlOf(baseUrl);
  if (baseMediaUrl !== undefined) result.baseMediaUrl = urlOf(baseMediaUrl);
  return result;
}

function findFile(env: Environment, homeFolder: string): string | undefined {
  const config = env.XDG_CONFIG_HOME || join(homeFolder, '.config');
  const places = ['ankisyncd.conf', '/etc/ankisyncd/ankisyncd.conf', join(config, 'ankisyncd', 'ankisyncd.conf')];
  return places.map((place) => resolve(place)).find((path) => existsSync(path));
}

/** As Python's configparser reads it; the sections are those of `ankisyncd` and of the AnkiServer before it. */
function readIni(file: string): Map<string, string> {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    throw new UsageError(`${file} cannot be read (${(error as NodeJS.ErrnoException).code})`);
  }
  const found = new Map<string, string>();
  let section = '';
  for (const line of text.replace(/^\uFEFF/, '').split(/\r?\n/)) {
    const header = /^\[([^\]]+)\]/.exec(line);
    if (header !== null) section = header[1]!;
    else if (/^(sync_app|app:sync_app|server:main)$/.test(section) && !/^\s*([#;]|$)/.test(line)) {
      const [, key, value] = /^([^\s=:][^=:]*?)\s*[=:]\s*(.*?)\s*$/.exec(line) ?? [];
      // `use` and such are for the program that started AnkiServer
      if (key !== undefined && key !== 'use' && value !== '') found.set(key.toLowerCase(), value!.replaceAll('%%', '%'));
    }
  }
  return found;
}

function warningsAbout(settings: ReadonlyMap<string, Setting>): string[] {
  const warnings: string[] = [];
  for (const [key, { from }] of settings) {
    if ((KNOWN as readonly string[]).includes(key)) continue;
    const reason = Object.hasOwn(WITHOUT_EFFECT, key) ? WITHOUT_EFFECT[key]! : `no such setting is known.${hint(key, KNOWN)}`;
    warnings.push(`${from} is ignored: ${reason}`);
  }
  return warnings;
}

/** Relative to the working folder, as the old server took it, or else to the file. */
function pathOf({ value, file }: Setting): string {
  const here = resolve(value);
  if (file === undefined || existsSync(here)) return here;
  const beside = resolve(dirname(file), value);
  return existsSync(beside) ? beside : here;
}

function levelOf({ value, from }: Setting): NonNullable<OldSettings['leastLevel']> {
  const level = LEVELS[value.toUpperCase()];
  if (level === undefined) throw new UsageError(`${from} is "${value}", but must be one of ${Object.keys(LEVELS).join(', ')}`);
  return level;
}

function urlOf({ value, from }: Setting): string {
  if (!value.startsWith('/') || /[?#\s]/.test(value)) throw new UsageError(`${from} is "${value}", but must be a path that begins with /`);
  return value.endsWith('/') ? value : `${value}/`;
}

/** `anki-sync.toml` or `anki-sync.json`: where it is, and what it sets, by variable. */
import { existsSync, readFileSync, statSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join, resolve } from 'node:path';
import { hint } from '../spelling.ts';
import { keysOf, settingOf, tablesOfFile, variableOfKey } from './settings-table.ts';
import { UsageError } from './usage-error.ts';

const NAMES = ['anki-sync.toml', 'anki-sync.json'] as const;

export interface FileSetting {
  value: string;
  /** As it stands in the file: `port`, `ldap.url`. */
  key: string;
}

export interface ConfigFile {
  /** Absolute. */
  path: string;
  /** By variable. */
  settings: Map<string, FileSetting>;
  /** Secrets in a file that others may read. */
  warnings: string[];
}

/** The one in the folder, if there is one. @throws UsageError where there are two */
export function configFileIn(folder: string): string | undefined {
  const found = NAMES.map((name) => join(folder, name)).filter((path) => existsSync(path));
  if (found.length > 1) throw new UsageError(`${folder} has both ${NAMES.join(' and ')}: keep one, or choose with --config`);
  return found[0];
}

/** @throws UsageError that names the file, and for an unknown key the likely misspelling */
export function readConfigFile(file: string): ConfigFile {
  const path = resolve(file);
  const config: ConfigFile = { path, settings: new Map(), warnings: [] };
  const root = parsed(path, contentOf(path));
  for (const [name, value] of Object.entries(root)) {
    if (isTable(value)) addTable(config, name, value);
    else if (name === 'oidc' && Array.isArray(value) && value.every(isTable)) {
      value.forEach((each, index) => addTable(config, name, each, index + 1));
    } else addSetting(config, '', name, value);
  }
  const secrets = [...config.settings].filter(([variable]) => settingOf(variable)?.isSecret);
  if (secrets.length > 0 && process.platform !== 'win32' && (statSync(path).mode & 0o004) !== 0) {
    config.warnings.push(`${path} holds ${secrets[0]![1].key}, and everybody on this computer may read it: chmod o= ${path}`);
  }
  return config;
}

type Table = Record<string, unknown>;

function isTable(value: unknown): value is Table {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Date);
}

function contentOf(path: string): string {
  try {
    return readFileSync(path, 'utf8').replace(/^\uFEFF/, '');
  } catch (error) {
    throw new UsageError(`${path} cannot be read (${(error as NodeJS.ErrnoException).code})`);
  }
}

function parsed(path: string, text: string): Table {
  const value = path.endsWith('.json') ? parsedJson(path, text) : parsedToml(path, text);
  if (!isTable(value)) throw new UsageError(`${path} must hold an object: { "port": 8080 }`);
  return value;
}

function parsedJson(path: string, text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // the parser's own message would quote what may be a secret
    throw new UsageError(`${path} is not JSON`);
  }
}

/** Loaded where there is such a file: no other start waits for it. */
function parsedToml(path: string, text: string): unknown {
  const require = createRequire(import.meta.url);
  let toml: typeof import('smol-toml');
  try {
    toml = require('smol-toml') as typeof import('smol-toml');
  } catch {
    throw new UsageError(`${path} needs the package smol-toml: npm install smol-toml, or write the same settings as anki-sync.json`);
  }
  try {
    return toml.parse(text);
  } catch (error) {
    const { line, column, message } = error as InstanceType<typeof toml.TomlError>;
    // its further lines show the place, with what may be a secret
    const words = message.split('\n')[0]?.replace(/^Invalid TOML document: /, '');
    throw new UsageError(`${path} is not TOML: line ${line}, column ${column}: ${words}`);
  }
}

function addTable(config: ConfigFile, table: string, entries: Table, number?: number): void {
  if (!tablesOfFile().includes(table)) {
    throw new UsageError(`${config.path}: there is no table ${table}.${hint(table, tablesOfFile())}`);
  }
  for (const [key, value] of Object.entries(entries)) addSetting(config, table, key, value, number);
}

function addSetting(config: ConfigFile, table: string, key: string, value: unknown, number?: number): void {
  const shown = table === '' ? key : `${table}.${key}`;
  const variable = variableOfKey(table, key, number);
  if (variable === undefined) {
    const known = keysOf(table).map((each) => (table === '' ? each : `${table}.${each}`));
    throw new UsageError(`${config.path}: there is no setting ${shown}.${hint(shown, table === '' ? [...known, ...tablesOfFile()] : known)}`);
  }
  let text = textOf(value);
  if (text === undefined) throw new UsageError(`${config.path}: ${shown} must be a text, a number, true or false, or a list of these`);
  if (text === '') return;
  if (settingOf(variable)?.isPath) text = resolve(dirname(config.path), text);
  config.settings.set(variable, { value: text, key: shown });
}

/** As a variable holds it. Lists have commas; semicolons, where a part has a comma itself. */
function textOf(value: unknown): string | undefined {
  if (typeof value === 'string') return value;
  if (typeof value === 'number' || typeof value === 'bigint' || typeof value === 'boolean') return String(value);
  const parts = Array.isArray(value) ? value.map(textOf) : isTable(value) ? Object.entries(value).flatMap(pairsOf) : [undefined];
  if (parts.some((part) => part === undefined)) return undefined;
  return parts.join(parts.some((part) => part!.includes(',')) ? ';' : ',');
}

function pairsOf([name, value]: [string, unknown]): (string | undefined)[] {
  return (Array.isArray(value) ? value : [value]).map((each) => {
    const text = textOf(each);
    return text === undefined ? undefined : `${name}=${text}`;
  });
}

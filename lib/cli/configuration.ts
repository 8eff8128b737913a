/** The layers of settings: a file, the environment, and flags, in this order of strength. */
import { resolve } from 'node:path';
import { nearestWord } from '../spelling.ts';
import { configFileIn, readConfigFile, type ConfigFile } from './config-file.ts';
import { isKnownVariable, isOurs, knownVariables, settingOf } from './settings-table.ts';
import { UsageError } from './usage-error.ts';

export type Environment = Readonly<Record<string, string | undefined>>;

export interface Configuration {
  /** The environment, and where it says nothing the file, under the names of variables. Flags are asked first, by whoever reads a setting. */
  env: Environment;
  file: ConfigFile | undefined;
  /** Where a setting that stands in `env` or among the flags comes from: `--port`, `SYNC_PORT`, or `port in /etc/anki-sync.toml`. */
  sourceOf(variable: string): string | undefined;
  /** The same error, which says also where in the file the variable that it names stands. */
  explained(error: unknown): unknown;
}

/**
 * The file is the one of `--config` or ANKI_SYNC_CONFIG, or else `anki-sync.toml` or `.json` in the working folder, or else in the data folder.
 *
 * @param dataFolder where the data are, as far as flags and environment say
 * @throws UsageError
 */
export function configurationOf(flags: ReadonlyMap<string, string>, env: Environment, dataFolder: string): Configuration {
  const file = findFile(flags, env, dataFolder);
  const isSet = (variable: string): boolean => {
    const flag = settingOf(variable)?.flag;
    return (env[variable] !== undefined && env[variable] !== '') || (flag !== undefined && flags.has(flag));
  };
  const merged: Record<string, string | undefined> = { ...env };
  for (const [variable, { value }] of file?.settings ?? []) {
    // a secret and the file that holds it are one setting, and the stronger layer has it whole
    if (!isSet(variable) && !isSet(sisterOf(variable))) merged[variable] = value;
  }
  return {
    env: merged,
    file,
    sourceOf(variable) {
      const flag = settingOf(variable)?.flag;
      if (flag !== undefined && flags.has(flag)) return `--${flag}`;
      if (env[variable] !== undefined && env[variable] !== '') return variable;
      const found = file?.settings.get(variable);
      return found === undefined || merged[variable] === undefined ? undefined : `${found.key} in ${file!.path}`;
    },
    explained(error) {
      if (!(error instanceof UsageError) || file === undefined) return error;
      for (const [variable, { key }] of file.settings) {
        if (!isSet(variable) && new RegExp(`\\b${variable}\\b`).test(error.message)) {
          return new UsageError(`${error.message} (${variable} is ${key} in ${file.path})`);
        }
      }
      return error;
    },
  };
}

function findFile(flags: ReadonlyMap<string, string>, env: Environment, dataFolder: string): ConfigFile | undefined {
  const given = flags.get('config') ?? (env.ANKI_SYNC_CONFIG === '' ? undefined : env.ANKI_SYNC_CONFIG);
  if (given !== undefined) return readConfigFile(given);
  const here = configFileIn(resolve('.'));
  if (here !== undefined) return readConfigFile(here);
  const there = configFileIn(dataFolder);
  if (there === undefined) return undefined;
  const file = readConfigFile(there);
  const base = file.settings.get('SYNC_BASE');
  if (base !== undefined && base.value !== dataFolder) {
    throw new UsageError(
      `${there} is in the data folder, and says that the data are in another one: remove its ${base.key}, or give the file with --config`,
    );
  }
  return file;
}

function sisterOf(variable: string): string {
  return variable.endsWith('_FILE') ? variable.slice(0, -5) : `${variable}_FILE`;
}

/** Variables that look as if they were meant for this server, but are none of its own. Warnings alone: others share the environment. */
export function misspelledVariables(env: Environment): string[] {
  const warnings: string[] = [];
  const known = knownVariables();
  for (const [name, value] of Object.entries(env)) {
    // old community servers' and OpenID Connect's are looked at by their own readers
    if (value === undefined || value === '' || isKnownVariable(name) || /^(ANKISYNCD_|OIDC_|SYNC_USER)/.test(name)) continue;
    const meant = isOurs(name) ? nearestWord(name, known, 4) : name.length >= 8 ? nearestWord(name, known, 2) : undefined;
    if (meant !== undefined && env[meant] === undefined) warnings.push(`the variable ${name} is none of this server. Did you mean ${meant}?`);
  }
  return warnings.sort();
}

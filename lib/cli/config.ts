/**
 * `anki-sync config`: what `serve` with the same flags would work with, and where each setting comes from. It is a configuration file
 * itself, for whoever wants one: secrets are masked, in comments.
 */
import { parseFlags } from './flags.ts';
import { serveFlags, serveSettings, type ServeSettings } from './settings.ts';
import { settings, settingOf, type Setting } from './settings-table.ts';
import type { Surroundings } from './surroundings.ts';
import { UsageError } from './usage-error.ts';

const MASK = '********';

export async function config(args: string[], { env, homeFolder, output, errors }: Surroundings): Promise<number> {
  const { words, flags } = parseFlags(args, serveFlags);
  if (words.length > 0) throw new UsageError(`config takes no "${words[0]}"; it takes the flags of serve`);
  const found = serveSettings(flags, env, homeFolder);
  for (const warning of found.warnings) errors.write(`${warning}\n`);
  output.write(configText(found, flags));
  return 0;
}

export function configText(found: ServeSettings, flags: ReadonlyMap<string, string>): string {
  const { configuration: { file } } = found;
  const lines = [file === undefined ? '# no configuration file was found' : `# configuration file: ${file.path}`];
  const numbers = providerNumbers(found);
  // which file it is stands in the first line
  for (const [table, rows] of Map.groupBy(settings.filter(({ flag }) => flag !== 'config'), ({ table }) => table)) {
    if (table === 'oidc' && numbers.length > 0) {
      for (const number of numbers) {
        lines.push('', '[[oidc]]', ...rows.map((row) => lineOf(row, found, flags, row.variable.replace('OIDC_', `OIDC_${number}_`))));
      }
    } else {
      lines.push(...(table === '' ? [] : ['', `[${table}]`]), ...rows.map((row) => lineOf(row, found, flags)));
    }
  }
  const users = Object.keys(found.configuration.env).filter((name) => /^SYNC_USER[1-9]\d*(_FILE)?$/.test(name));
  if (users.length > 0) lines.push('', `# users of the environment, who alone may sign in: ${users.join(', ')}`);
  if (found.old.found.length > 0) lines.push('', `# settings of an old community server: ${found.old.found.join(', ')}`);
  return `${lines.join('\n')}\n`;
}

/** OIDC_1_…, OIDC_2_… */
function providerNumbers({ configuration: { env } }: ServeSettings): number[] {
  const numbers = Object.keys(env).map((name) => /^OIDC_(\d+)_/.exec(name)?.[1]).filter((number) => number !== undefined);
  return [...new Set(numbers.map(Number))].sort((a, b) => a - b);
}

function lineOf(row: Setting, found: ServeSettings, flags: ReadonlyMap<string, string>, variable = row.variable): string {
  const { env, sourceOf } = found.configuration;
  const source = sourceOf(variable);
  if (source === undefined) {
    const value = defaultOf(variable, found);
    return value === undefined ? `# ${row.key}` : `${row.key} = ${tomlOf(value)}  # default${value.from}`;
  }
  const value = row.flag !== undefined && flags.has(row.flag) ? (row.isSwitch ? 'true' : flags.get(row.flag)!) : (env[variable] ?? '');
  if (settingOf(variable)?.isSecret) return `# ${row.key} = "${MASK}"  # ${source}`;
  return `${row.key} = ${tomlOf({ value, isSwitch: row.isSwitch })}  # ${source}`;
}

/** Of the few that depend on other settings, or that nobody can do without. */
function defaultOf(variable: string, found: ServeSettings): { value: string | number; from: string } | undefined {
  const { base, host, port, old, officialVariables } = found;
  const beside = officialVariables.length > 0 ? ` beside ${officialVariables[0]}` : '';
  const fromOld = (value: string | undefined): string => (value === undefined ? beside : ', of the old server');
  if (variable === 'SYNC_BASE') return { value: base, from: fromOld(old.dataFolder) };
  if (variable === 'SYNC_HOST') return { value: host, from: fromOld(old.host) };
  if (variable === 'SYNC_PORT') return { value: port, from: fromOld(old.port) };
  return undefined;
}

function tomlOf({ value, isSwitch = false }: { value: string | number; isSwitch?: boolean }): string {
  if (typeof value === 'number' || /^(0|[1-9]\d{0,14})$/.test(value)) return String(value);
  if (isSwitch || /^(true|false)$/.test(value)) return /^(1|true|yes|on)$/i.test(value) ? 'true' : 'false';
  // JSON's escapes are TOML's, but for one character
  return JSON.stringify(value).replaceAll('\x7f', '\\u007f');
}

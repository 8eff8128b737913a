import { parseArgs } from 'node:util';
import { hint } from '../spelling.ts';
import { settingOf } from './settings-table.ts';
import { UsageError } from './usage-error.ts';

/** A flag takes a value, or is a switch. */
export type FlagKinds = Readonly<Record<string, 'value' | 'switch'>>;

export interface ParsedArguments {
  words: string[];
  /** Without the dashes; a switch that is present has the value ''. */
  flags: Map<string, string>;
}

/** @throws UsageError for an unknown flag, a missing value, or a value where none belongs. */
export function parseFlags(args: string[], kinds: FlagKinds): ParsedArguments {
  const options = Object.fromEntries(
    Object.entries(kinds).map(([name, kind]) => [name, { type: kind === 'value' ? 'string' : 'boolean' } as const]),
  );
  const { tokens } = parseArgs({ args, options: { ...options, help: { type: 'boolean', short: 'h' } }, allowPositionals: true, strict: false, tokens: true });
  const parsed: ParsedArguments = { words: [], flags: new Map() };
  for (const token of tokens) {
    if (token.kind === 'positional') parsed.words.push(token.value);
    if (token.kind !== 'option') continue;
    if (token.name === 'help') {
      parsed.flags.set('help', '');
      continue;
    }
    const kind = Object.hasOwn(kinds, token.name) ? kinds[token.name] : undefined;
    if (kind === undefined) {
      throw new UsageError(`unknown flag ${token.rawName}.${withoutFlag(token.name) ?? hint(token.rawName, Object.keys(kinds).map((name) => `--${name}`))}`);
    }
    if (kind === 'switch' && token.value !== undefined) throw new UsageError(`${token.rawName} takes no value`);
    // "--base --port 80": the next flag is not a value, unless written with =
    if (kind === 'value' && (token.value === undefined || token.value === '' || (!token.inlineValue && token.value.startsWith('--')))) {
      throw new UsageError(`${token.rawName} needs a value`);
    }
    parsed.flags.set(token.name, token.value ?? '');
  }
  return parsed;
}

/** `--threads`: not every setting has a flag, and a secret never has. */
function withoutFlag(name: string): string | undefined {
  const setting = settingOf(name.replaceAll('-', '_').toUpperCase());
  return setting === undefined || setting.flag !== undefined ? undefined : ` It has none: set the variable ${setting.variable}, or its key in the configuration file`;
}

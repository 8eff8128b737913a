/** `anki-sync doctor URL`: examines a deployment from outside, and tells what to change. */
import { readFileSync } from 'node:fs';
import { getCACertificates } from 'node:tls';
import { examine } from '../doctor/examine.ts';
import { REMEDIES, type Remedy } from '../doctor/faults.ts';
import type { Finding, Mark } from '../doctor/finding.ts';
import type { DoctorOptions } from '../doctor/visit.ts';
import { parseFlags } from './flags.ts';
import { readPassword } from './passwords.ts';
import type { Surroundings } from './surroundings.ts';
import { UsageError } from './usage-error.ts';

export const doctorFlags = {
  user: 'value', 'password-file': 'value', ca: 'value', 'body-mib': 'value', 'slow-secs': 'value', json: 'switch',
} as const;

/** The line of the terminal, emptied. */
const CLEARED = '\r\x1b[K';
const MAX_BODY_MIB = 128;
const MAX_SLOW_SECS = 120;
const SIGNS: Readonly<Record<Mark, string>> = { right: '✔', wrong: '✖', warning: '!', skipped: '–' };
const PROXIES = { nginx: 'nginx', caddy: 'Caddy', apache: 'Apache', haproxy: 'HAProxy' } as const;

/** Exit code 0 where nothing is wrong, 1 where something is; what is only advisable counts as nothing. */
export async function doctor(args: string[], surroundings: Surroundings): Promise<number> {
  const { words: [address, ...rest], flags } = parseFlags(args, doctorFlags);
  if (address === undefined) throw new UsageError('doctor needs the address that is entered in Anki: doctor https://example.org/anki/');
  if (rest.length > 0) throw new UsageError('doctor takes one address and nothing more; a password is asked for, or read from --password-file');
  const { output } = surroundings;
  const asJson = flags.has('json');
  const atTerminal = output.isTTY && !asJson;
  const told = new Set<string>();
  const options: DoctorOptions = {
    address,
    ca: authorities(flags.get('ca')),
    bodyMib: numberOf(flags, 'body-mib', MAX_BODY_MIB),
    slowSecs: numberOf(flags, 'slow-secs', MAX_SLOW_SECS),
    user: await userOf(flags, surroundings),
    begins: (check) => {
      // the last ones take their time
      if (atTerminal) output.write(`${CLEARED}… ${check}`);
    },
    found: (finding) => {
      if (atTerminal) output.write(CLEARED);
      if (!asJson) output.write(findingText(finding, told));
    },
  };
  const findings = await examine(options).catch((error: unknown) => {
    throw error instanceof TypeError && !('code' in error) ? new UsageError(error.message) : error;
  });
  if (atTerminal) output.write(CLEARED);
  const wrongs = findings.filter(({ mark }) => mark === 'wrong').length;
  if (asJson) output.write(`${JSON.stringify({ address, ok: wrongs === 0, findings: findings.map(withRemedy) }, null, 2)}\n`);
  else output.write(wrongs === 0 ? '\nAnki can sync here.\n' : `\n${wrongs} wrong.\n`);
  return wrongs === 0 ? 0 : 1;
}

/** What to do stands below the first finding of each fault. */
export function findingText(finding: Finding, told: Set<string>): string {
  const { fault } = finding;
  const line = `${SIGNS[finding.mark]} ${finding.check}: ${finding.words}${fault === undefined ? '' : ` [${fault}]`}\n`;
  if (fault === undefined || told.has(fault)) return line;
  told.add(fault);
  const { shows, change, ...byProxy }: Remedy = REMEDIES[fault];
  const rows = [['Anki shows', shows], ['change', change], ...Object.entries(byProxy).map(([proxy, words]) => [PROXIES[proxy as keyof typeof PROXIES], words])];
  return line + rows.map(([name = '', words]) => `    ${`${name}:`.padEnd(12)}${words}\n`).join('');
}

function withRemedy(finding: Finding): object {
  if (finding.fault === undefined) return finding;
  const { shows, change, ...byProxy }: Remedy = REMEDIES[finding.fault];
  return { ...finding, shows, change: { ...byProxy, other: change } };
}

/** Those of the system too, as Anki does, and those of `--ca`. */
function authorities(path: string | undefined): string[] {
  const known = [...getCACertificates('default'), ...getCACertificates('system')];
  if (path === undefined) return known;
  const pem = readText('ca', path);
  if (!pem.includes('-----BEGIN CERTIFICATE-----')) throw new UsageError(`--ca: ${path} has no certificate in PEM`);
  return [...known, pem];
}

async function userOf(flags: ReadonlyMap<string, string>, { input, errors }: Surroundings): Promise<DoctorOptions['user']> {
  const name = flags.get('user');
  const file = flags.get('password-file');
  if (name === undefined) {
    if (file !== undefined) throw new UsageError('--password-file needs --user NAME');
    return undefined;
  }
  const password = file === undefined
    ? await readPassword({ input, prompts: errors }, `Password of ${name}`, false)
    : readText('password-file', file).split(/\r?\n/, 1)[0]!;
  if (password === '') throw new UsageError('the password is empty');
  return { name, password };
}

function readText(flag: string, path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    throw new UsageError(`--${flag}: ${path} cannot be read (${(error as NodeJS.ErrnoException).code})`);
  }
}

function numberOf(flags: ReadonlyMap<string, string>, name: string, max: number): number | undefined {
  const text = flags.get(name);
  if (text === undefined) return undefined;
  const number = Number(text);
  if (!/^\d+(\.\d+)?$/.test(text) || number > max) throw new UsageError(`--${name} is a number from 0 to ${max}, and not "${text}"`);
  return number;
}

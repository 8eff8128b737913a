/** `anki-sync tls self-signed`: an authority of one's own, and a certificate that it signs, for servers that no public authority certifies. */
import { X509Certificate } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { isIP } from 'node:net';
import { join, resolve } from 'node:path';
import { makeAuthority, makeServerCertificate, type Signed } from './certificate.ts';
import { parseFlags } from './flags.ts';
import { ownName, shellWord, type Surroundings } from './surroundings.ts';
import { dayOf } from './tls-files.ts';
import { UsageError } from './usage-error.ts';

export const tlsCommandFlags = { host: 'value', to: 'value', days: 'value' } as const;

/** Apple's devices refuse certificates of servers that are valid for longer, also of authorities of one's own. */
const MAX_DAYS = 825;
const DEFAULT_DAYS = 397;
const AUTHORITY_DAYS = 3650;

export async function tls(args: string[], { output }: Surroundings): Promise<number> {
  const { words: [action, ...rest], flags } = parseFlags(args, tlsCommandFlags);
  if (action !== 'self-signed' || rest.length > 0) throw new UsageError('type "tls self-signed --host NAME": a name or an address, or several with commas');
  const folder = resolve(flags.get('to') ?? 'tls');
  const file = (name: string): string => join(folder, name);
  const days = daysOf(flags.get('days'));
  const hosts = flags.has('host') ? hostsOf(flags.get('host')!) : hostsBefore(file('cert.pem'));
  const say = (line: string): void => void output.write(`${line}\n`);

  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const isNew = !existsSync(file('ca.pem'));
  const authority = isNew ? makeAuthority(`Anki sync server of ${hosts[0]}`, AUTHORITY_DAYS, Date.now()) : authorityIn(file('ca.pem'), file('ca-key.pem'));
  if (isNew) {
    writeWhole(file('ca-key.pem'), authority.key, 0o600);
    writeWhole(file('ca.pem'), authority.certificate, 0o644);
  }
  const server = makeServerCertificate(authority, hosts, days, Date.now());
  // a running server takes the pair once both are there
  writeWhole(file('key.pem'), server.key, 0o600);
  writeWhole(file('cert.pem'), server.certificate, 0o644);
  say(`${isNew ? 'made an authority, and' : 'the authority that is there signed'} a certificate for ${hosts.join(', ')}, valid until ${dayOf(new X509Certificate(server.certificate).validToDate)}`);
  say(`start the server with
    --tls-cert ${shellWord(file('cert.pem'))} --tls-key ${shellWord(file('key.pem'))}
and give ${file('ca.pem')} to every device (docs/tls.md says how). It holds no secret; ca-key.pem does: keep it to yourself.
Before the certificate ends, type again: ${ownName()} tls self-signed --to ${shellWord(folder)}
The devices need nothing new then, and a running server takes it by itself.`);
  return 0;
}

function daysOf(text: string | undefined): number {
  if (text === undefined) return DEFAULT_DAYS;
  if (!/^\d{1,3}$/.test(text) || Number(text) < 1 || Number(text) > MAX_DAYS) throw new UsageError(`--days must be a number from 1 to ${MAX_DAYS}, not "${text}"`);
  return Number(text);
}

function hostsOf(list: string): string[] {
  const hosts = list.split(/[\s,]+/).filter((host) => host !== '');
  if (hosts.length === 0) throw new UsageError('--host needs a name or an address');
  for (const host of hosts) {
    if (isIP(host) !== 0) continue;
    if (host.length > 64 || !/^(\*\.)?([a-z\d]([a-z\d-]{0,61}[a-z\d])?)(\.[a-z\d]([a-z\d-]{0,61}[a-z\d])?)*$/i.test(host)) {
      throw new UsageError(`--host must be a name like sync.example.lan or an address like 192.168.1.5, without port, not "${host}"`);
    }
  }
  return hosts;
}

function hostsBefore(certFile: string): string[] {
  if (!existsSync(certFile)) throw new UsageError('--host is needed: the name or the address by which devices reach the server, or several with commas');
  const names = new X509Certificate(readFileSync(certFile)).subjectAltName ?? '';
  return [...names.matchAll(/(?:DNS|IP Address):([^,\s]+)/g)].map(([, name]) => name!);
}

function authorityIn(certFile: string, keyFile: string): Signed {
  try {
    return { certificate: readFileSync(certFile, 'utf8'), key: readFileSync(keyFile, 'utf8') };
  } catch (error) {
    throw new UsageError(`the authority cannot be used (${(error as NodeJS.ErrnoException).code}): give another folder with --to, or remove ${certFile}`);
  }
}

function writeWhole(path: string, content: string, mode: number): void {
  writeFileSync(`${path}.new`, content, { mode });
  renameSync(`${path}.new`, path);
}

/** A directory of our own for each suite: OpenLDAP's slapd with a configuration, a database and certificates in a temporary folder. */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { connect, createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { run } from '../../oracle/anki-python.ts';

const SLAPD = '/usr/sbin/slapd';
const SCHEMAS = '/etc/ldap/schema';
const MODULES = '/usr/lib/ldap';

export const BASE = 'dc=example,dc=org';
export const PEOPLE = `ou=people,${BASE}`;
export const GROUPS = `ou=groups,${BASE}`;
export const SERVICE = { dn: `cn=anki,ou=services,${BASE}`, password: 'canary-service-9f31' };
const ADMIN = { dn: `cn=admin,${BASE}`, password: 'canary-admin-77aa' };

/** False where slapd is, or could be installed; else the reason why tests are skipped. For root on Debian it must be there. */
export async function slapdMissing(): Promise<string | false> {
  const isThere = (): boolean => [SLAPD, '/usr/bin/ldapmodify', '/usr/bin/openssl'].every(existsSync);
  if (isThere()) return false;
  if (process.getuid?.() !== 0 || !existsSync('/usr/bin/apt-get')) return 'slapd, ldap-utils or openssl is not installed, and only root could install it';
  // RUNLEVEL=1: the package's own service is not wanted, and stays off
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive', RUNLEVEL: '1' };
  const wait = ['-qq', '-o', 'DPkg::Lock::Timeout=300'];
  for (let attempt = 1; !isThere(); attempt++) {
    try {
      await run('apt-get', [...wait, 'update'], { env });
      await run('apt-get', [...wait, 'install', '-y', '--no-install-recommends', 'slapd', 'ldap-utils', 'openssl'], { env });
    } catch (error) {
      // another suite installs at the same time
      if (attempt === 60 || !/lock/i.test(String(error))) throw error;
      await sleep(2000);
    }
  }
  return false;
}

export interface SlapdOptions {
  /** LDIF of further entries. */
  entries?: string;
  /** Lines of slapd.conf, for the database. */
  database?: string[];
  /** Lines of slapd.conf, before the database. */
  global?: string[];
  /** Who may read everything, beside the service account. */
  readers?: string[];
}

export interface Operation {
  kind: 'BIND' | 'SRCH' | 'STARTTLS';
  /** The distinguished name, or the search's filter. */
  what: string;
}

export class Slapd {
  /** With one certification authority for all servers, in PEM; and one that signed nothing. */
  readonly ca: string;
  readonly otherCa: string;
  readonly ldap: string;
  readonly ldaps: string;
  readonly admin = ADMIN;
  readonly #folder: string;
  #child: ChildProcess | undefined;
  #log = '';

  private constructor(folder: string, ports: { ldap: number; ldaps: number }, certificates: { ca: string; otherCa: string }) {
    this.#folder = folder;
    this.ldap = `ldap://localhost:${ports.ldap}`;
    this.ldaps = `ldaps://localhost:${ports.ldaps}`;
    this.ca = certificates.ca;
    this.otherCa = certificates.otherCa;
  }

  static async start(options: SlapdOptions = {}): Promise<Slapd> {
    const folder = await mkdtemp(join(tmpdir(), 'anki-sync-slapd-'));
    try {
      const certificates = await makeCertificates(folder);
      await mkdir(join(folder, 'data'));
      await writeFile(join(folder, 'slapd.conf'), configuration(folder, options));
      await writeFile(join(folder, 'first.ldif'), `${tree()}\n${options.entries ?? ''}`);
      await run('/usr/sbin/slapadd', ['-f', join(folder, 'slapd.conf'), '-l', join(folder, 'first.ldif')]);
      const slapd = new Slapd(folder, { ldap: await freePort(), ldaps: await freePort() }, certificates);
      await slapd.#spawn();
      return slapd;
    } catch (error) {
      await rm(folder, { recursive: true, force: true });
      throw error;
    }
  }

  /** Ends the process; connections are cut, and new ones refused. */
  async stop(): Promise<void> {
    const child = this.#child;
    this.#child = undefined;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, 'exit');
    child.kill('SIGCONT');
    child.kill('SIGKILL');
    await ended;
  }

  /** On the same data and ports. */
  async restart(): Promise<void> {
    await this.stop();
    await this.#spawn();
  }

  /** Connections stay, and new ones are taken by the system, but nobody answers. Resolves when all of its threads stand still (Linux). */
  async pause(): Promise<void> {
    this.#child!.kill('SIGSTOP');
    const tasks = `/proc/${this.#child!.pid}/task`;
    const isStopped = (task: string): boolean => /\) [Tt] /.test(readFileSync(join(tasks, task, 'stat'), 'utf8'));
    while (existsSync(tasks) && !readdirSync(tasks).every(isStopped)) await sleep(1);
  }

  resume(): void {
    this.#child?.kill('SIGCONT');
  }

  async close(): Promise<void> {
    await this.stop();
    await rm(this.#folder, { recursive: true, force: true });
  }

  /** LDIF with changes, as the directory's administrator. */
  async modify(ldif: string): Promise<void> {
    const file = join(this.#folder, `change-${performance.now()}.ldif`);
    await writeFile(file, ldif);
    await run('ldapmodify', ['-x', '-H', this.ldap, '-D', ADMIN.dn, '-w', ADMIN.password, '-f', file]);
  }

  /** What slapd was asked since the last call, in its own words. */
  async operations(): Promise<Operation[]> {
    // its log comes by a pipe; what it writes after an answer may come after the answer
    await sleep(50);
    const log = this.#log;
    this.#log = '';
    const found: Operation[] = [];
    for (const line of log.split('\n')) {
      const bind = / BIND dn="(.*)" method=/.exec(line);
      const search = / SRCH base=".*" scope=\d deref=\d filter="(.*)"/.exec(line);
      if (bind !== null) found.push({ kind: 'BIND', what: bind[1]! });
      else if (search !== null) found.push({ kind: 'SRCH', what: search[1]! });
      else if (/ STARTTLS$/.test(line)) found.push({ kind: 'STARTTLS', what: '' });
    }
    return found;
  }

  async #spawn(): Promise<void> {
    this.#log = '';
    const urls = [this.ldap, this.ldaps].map((url) => url.replace('localhost', '127.0.0.1'));
    const child = spawn(SLAPD, ['-f', join(this.#folder, 'slapd.conf'), '-h', urls.join(' '), '-d', 'stats'], { stdio: ['ignore', 'ignore', 'pipe'] });
    child.stderr.setEncoding('utf8').on('data', (text: string) => (this.#log = (this.#log + text).slice(-500_000)));
    this.#child = child;
    for (let attempt = 0; attempt < 500; attempt++) {
      if (child.exitCode !== null) throw new Error(`slapd ended with ${child.exitCode}:\n${this.#log}`);
      if (await answers(Number(new URL(this.ldap.replace('ldap', 'http')).port))) return;
      await sleep(20);
    }
    throw new Error(`slapd does not listen:\n${this.#log}`);
  }
}

function configuration(folder: string, { database = [], global = [], readers = [] }: SlapdOptions): string {
  return [
    ...['core', 'cosine', 'inetorgperson', 'nis'].map((name) => `include ${SCHEMAS}/${name}.schema`),
    ...global,
    `modulepath ${MODULES}`,
    'moduleload back_mdb',
    'moduleload memberof',
    `pidfile ${folder}/slapd.pid`,
    'sizelimit 500',
    `TLSCACertificateFile ${folder}/ca.pem`,
    `TLSCertificateFile ${folder}/server.pem`,
    `TLSCertificateKeyFile ${folder}/server.key`,
    'database mdb',
    `suffix "${BASE}"`,
    `rootdn "${ADMIN.dn}"`,
    `rootpw ${ADMIN.password}`,
    `directory ${folder}/data`,
    'maxsize 16777216',
    'dbnosync',
    ...database,
    // nobody can be found by an anonymous visitor; people read their own entry
    'access to attrs=userPassword by anonymous auth by * none',
    `access to * ${[SERVICE.dn, ...readers].map((dn) => `by dn.exact="${dn}" read`).join(' ')} by self read by * auth`,
    'overlay memberof',
    '',
  ].join('\n');
}

/** Passwords are in the clear here, which slapd compares as well as hashes. */
function tree(): string {
  return `dn: ${BASE}
objectClass: dcObject
objectClass: organization
o: Example
dc: example

dn: ${PEOPLE}
objectClass: organizationalUnit
ou: people

dn: ${GROUPS}
objectClass: organizationalUnit
ou: groups

dn: ou=services,${BASE}
objectClass: organizationalUnit
ou: services

dn: ${SERVICE.dn}
objectClass: organizationalRole
objectClass: simpleSecurityObject
cn: anki
userPassword: ${SERVICE.password}

${person('Ada', 'canary-ada-4411')}
${person('bob', 'canary-bob-5522')}
${person('eve', 'canary-eve-6633')}
dn: cn=learners,${GROUPS}
objectClass: groupOfNames
cn: learners
member: uid=Ada,${PEOPLE}
member: uid=bob,${PEOPLE}
`;
}

/** LDIF of a person whose mail address has another name in it. Values are written in base64, so that they may be anything. */
export function person(uid: string, password: string, options: { mail?: string; dn?: string } = {}): string {
  const { mail = `mail.${uid.toLowerCase()}@example.org`, dn = `uid=${uid},${PEOPLE}` } = options;
  return `dn:: ${base64(dn)}
objectClass: inetOrgPerson
uid:: ${base64(uid)}
cn:: ${base64(uid)}
sn: Person
mail:: ${base64(mail)}
userPassword:: ${base64(password)}
`;
}

export function base64(text: string): string {
  return Buffer.from(text).toString('base64');
}

async function makeCertificates(folder: string): Promise<{ ca: string; otherCa: string }> {
  const openssl = (...args: string[]): Promise<string> => run('openssl', args, { cwd: folder });
  const authority = (name: string): Promise<string> => openssl('req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes',
    '-keyout', `${name}.key`, '-out', `${name}.pem`, '-days', '2', '-subj', `/CN=${name} of a test`, '-addext', 'basicConstraints=critical,CA:TRUE');
  await authority('ca');
  await authority('other-ca');
  await openssl('req', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', 'server.key', '-out', 'server.csr', '-subj', '/CN=localhost');
  // for the name localhost, and not for 127.0.0.1: so that a test can have the wrong name
  await writeFile(join(folder, 'server.ext'), 'subjectAltName=DNS:localhost\n');
  await openssl('x509', '-req', '-in', 'server.csr', '-CA', 'ca.pem', '-CAkey', 'ca.key', '-CAcreateserial', '-out', 'server.pem', '-days', '2', '-extfile', 'server.ext');
  const read = (name: string): Promise<string> => openssl('x509', '-in', name);
  return { ca: await read('ca.pem'), otherCa: await read('other-ca.pem') };
}

async function freePort(): Promise<number> {
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host: '127.0.0.1', port });
    socket.once('connect', () => resolve(true)).once('error', () => resolve(false));
    socket.once('connect', () => socket.destroy());
  });
}

/** A certificate for `localhost` and 127.0.0.1, and the authority that signed it, one for each process of tests. */
import { rmSync } from 'node:fs';
import { mkdtemp, readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { getCACertificates, setDefaultCACertificates } from 'node:tls';
import { run } from '../oracle/anki-python.ts';

export interface Certificates {
  /** Paths of PEM files. */
  ca: string;
  certificate: string;
  key: string;
  /** Certificate and key in one file, as HAProxy wants it. */
  both: string;
}

let made: Promise<Certificates> | undefined;

/** Removed when the process ends. */
export function testCertificates(): Promise<Certificates> {
  made ??= make();
  return made;
}

/** From here on, this process and the real clients that it starts take them for good. */
export async function trustTestCertificates(): Promise<void> {
  const { ca } = await testCertificates();
  setDefaultCACertificates([...getCACertificates('default'), await readFile(ca, 'utf8')]);
  process.env['SSL_CERT_FILE'] = ca;
}

async function make(): Promise<Certificates> {
  const folder = await mkdtemp(join(tmpdir(), 'anki-sync-certificates-'));
  process.once('exit', () => rmSync(folder, { recursive: true, force: true }));
  const openssl = (...args: string[]): Promise<string> => run('openssl', args, { cwd: folder });
  const newKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];
  const authority = ['-days', '2', '-subj', '/CN=authority of a test', '-addext', 'basicConstraints=critical,CA:TRUE'];
  await openssl('req', '-x509', ...newKey, '-keyout', 'ca.key', '-out', 'ca.pem', ...authority);
  await openssl('req', ...newKey, '-keyout', 'server.key', '-out', 'server.csr', '-subj', '/CN=localhost');
  await writeFile(join(folder, 'server.ext'), 'subjectAltName=DNS:localhost,IP:127.0.0.1\nbasicConstraints=CA:FALSE\n');
  const signed = ['-CA', 'ca.pem', '-CAkey', 'ca.key', '-CAcreateserial', '-days', '2', '-extfile', 'server.ext'];
  await openssl('x509', '-req', '-in', 'server.csr', ...signed, '-out', 'server.pem');
  const within = (name: string): string => join(folder, name);
  const [ca, certificate, key, both] = [within('ca.pem'), within('server.pem'), within('server.key'), within('both.pem')] as const;
  await writeFile(both, (await readFile(certificate, 'utf8')) + (await readFile(key, 'utf8')));
  return { ca, certificate, key, both };
}

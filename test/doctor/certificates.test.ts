/** Certificates as people have them. */
import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test, type TestContext } from 'node:test';
import { getCACertificates } from 'node:tls';
import { run } from '../oracle/anki-python.ts';
import { testCertificates } from '../proxies/certificates.ts';
import { PASSWORD, runningServer } from '../server/running-server.ts';
import { examined, wordsOf, wrongOf } from './examined.ts';
import { brokenProxy } from './proxy.ts';

/** Self-signed, good in a time of one's own: `openssl ca` alone takes one. */
async function dated(t: TestContext, from: string, to: string): Promise<{ key: string; cert: string }> {
  const folder = await mkdtemp(join(tmpdir(), 'anki-sync-doctor-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const openssl = (...args: string[]): Promise<string> => run('openssl', args, { cwd: folder });
  await writeFile(join(folder, 'index.txt'), '');
  await writeFile(join(folder, 'serial'), '01\n');
  await writeFile(join(folder, 'ca.cnf'), '[ca]\ndefault_ca=one\n[one]\ndatabase=index.txt\nserial=serial\nnew_certs_dir=.\ndefault_md=sha256\n'
    + 'policy=any\nx509_extensions=names\n[any]\ncommonName=supplied\n[names]\nsubjectAltName=IP:127.0.0.1\n');
  await openssl('req', '-new', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-subj', '/CN=anki', '-keyout', 'key.pem', '-out', 'new.csr');
  await openssl('ca', '-batch', '-notext', '-selfsign', '-config', 'ca.cnf', '-keyfile', 'key.pem', '-in', 'new.csr', '-out', 'cert.pem', '-startdate', from, '-enddate', to);
  return { key: await readFile(join(folder, 'key.pem'), 'utf8'), cert: await readFile(join(folder, 'cert.pem'), 'utf8') };
}

/** In front of a real server. */
async function secured(t: TestContext, tls: { key: string; cert: string }): Promise<string> {
  const server = await runningServer();
  t.after(() => server.stop());
  return brokenProxy(t, server.url, { tls });
}

/** Self-signed, by openssl. */
async function selfSigned(t: TestContext, ...more: string[]): Promise<{ key: string; cert: string }> {
  const folder = await mkdtemp(join(tmpdir(), 'anki-sync-doctor-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const args = ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-subj', '/CN=anki', '-keyout', 'key.pem', '-out', 'cert.pem'];
  await run('openssl', [...args, ...more], { cwd: folder });
  return { key: await readFile(join(folder, 'key.pem'), 'utf8'), cert: await readFile(join(folder, 'cert.pem'), 'utf8') };
}

describe('A certificate', { concurrency: 3 }, () => {
  test('that is self-signed: the rest is looked at, but no password goes there', async (t) => {
    const tls = await selfSigned(t, '-days', '30', '-addext', 'subjectAltName=IP:127.0.0.1');
    const findings = await examined(await secured(t, tls), { user: { name: 'kim', password: PASSWORD } });
    assert.deepEqual(wrongOf(findings), ['CERTIFICATE_SELF_SIGNED']);
    assert.ok(findings.some(({ check, mark }) => check === 'large bodies' && mark === 'right'), JSON.stringify(findings));
    assert.equal(findings.find(({ check }) => check === 'sign-in')?.mark, 'skipped');
  });

  test('that is self-signed, and trusted', async (t) => {
    const tls = await selfSigned(t, '-days', '30', '-addext', 'subjectAltName=IP:127.0.0.1');
    const findings = await examined(await secured(t, tls), { ca: [tls.cert], user: { name: 'kim', password: PASSWORD } });
    assert.deepEqual(wrongOf(findings), []);
    assert.equal(findings.find(({ check }) => check === 'sign-in')?.mark, 'right');
  });

  test('for another name', async (t) => {
    const tls = await selfSigned(t, '-days', '30', '-addext', 'subjectAltName=DNS:anki.example.org');
    const findings = await examined(await secured(t, tls), { ca: [tls.cert] });
    assert.deepEqual(wrongOf(findings), ['CERTIFICATE_NAME']);
    assert.match(wordsOf(findings, 'CERTIFICATE_NAME'), /for DNS:anki\.example\.org, and not for 127\.0\.0\.1/);
  });

  test('that ended, and one that has not begun', async (t) => {
    const ended = await dated(t, '20200101000000Z', '20200201000000Z');
    const findings = await examined(await secured(t, ended), { ca: [ended.cert] });
    assert.deepEqual(wrongOf(findings), ['CERTIFICATE_EXPIRED']);
    assert.match(wordsOf(findings, 'CERTIFICATE_EXPIRED'), /until 2020-02-01/);
    const early = await dated(t, '20400101000000Z', '20400201000000Z');
    assert.deepEqual(wrongOf(await examined(await secured(t, early), { ca: [early.cert] })), ['CERTIFICATE_NOT_YET']);
  });

  test('of an authority that nobody knows, and that is known', async (t) => {
    const { ca, certificate, key } = await testCertificates();
    const address = await secured(t, { key: await readFile(key, 'utf8'), cert: await readFile(certificate, 'utf8') });
    assert.deepEqual(wrongOf(await examined(address)), ['CERTIFICATE_CHAIN']);
    assert.deepEqual(wrongOf(await examined(address, { ca: [...getCACertificates('default'), await readFile(ca, 'utf8')] })), []);
  });
});

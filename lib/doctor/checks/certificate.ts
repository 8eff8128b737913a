/** TLS as clients see it: who vouches for the certificate, for which names and how long, and whether AnkiMobile's version is spoken. */
import { isIP } from 'node:net';
import { checkServerIdentity, connect, type ConnectionOptions, type PeerCertificate } from 'node:tls';
import { right, skipped, warning, wrong, type Finding } from '../finding.ts';
import type { Visit } from '../visit.ts';
import { quoted } from '../words.ts';
import { hostOf, portOf } from './connection.ts';

const CHECK = 'certificate';
const HANDSHAKE_MILLIS = 10_000;
/** Let's Encrypt's clients renew thirty days before the end. */
const SOON_DAYS = 10;
const DAY_MILLIS = 86_400_000;

interface Handshake {
  certificate: PeerCertificate;
  /** Why a client would not trust it: Node's word. */
  distrust?: string;
}

export async function checkCertificate(visit: Visit): Promise<Finding[]> {
  if (visit.base.protocol !== 'https:') return [];
  const shaken = await shakeHands(visit).catch((error: NodeJS.ErrnoException) => error);
  if (shaken instanceof Error) {
    visit.over = true;
    const code = shaken.code ?? '';
    const isPlain = /WRONG_VERSION_NUMBER|PACKET_LENGTH_TOO_LONG|HTTP_REQUEST/.test(code);
    if (isPlain) return [wrong(CHECK, 'SPEAKS_HTTP', `port ${portOf(visit.base)} does not speak https`)];
    return [wrong(CHECK, 'TLS_FAILS', `TLS does not come about (${quoted(code === '' ? shaken.message : code)})`)];
  }
  const findings = [...faultsOf(hostOf(visit.base), shaken, Date.now()), ...(await checkOldTls(visit))];
  if (findings.some(({ mark }) => mark === 'wrong')) visit.verify = false;
  return findings.length > 0 ? findings : [right(CHECK, `of ${issuerOf(shaken.certificate)}, until ${dayOf(shaken.certificate.valid_to)}`)];
}

function faultsOf(host: string, { certificate, distrust }: Handshake, nowMillis: number): Finding[] {
  const findings: Finding[] = [];
  const fromMillis = Date.parse(certificate.valid_from);
  const toMillis = Date.parse(certificate.valid_to);
  if (toMillis < nowMillis) findings.push(wrong(CHECK, 'CERTIFICATE_EXPIRED', `the certificate was good until ${dayOf(certificate.valid_to)}`));
  else if (fromMillis > nowMillis) findings.push(wrong(CHECK, 'CERTIFICATE_NOT_YET', `the certificate is good from ${dayOf(certificate.valid_from)} on`));
  const otherName = checkServerIdentity(host, certificate);
  if (otherName !== undefined) {
    findings.push(wrong(CHECK, 'CERTIFICATE_NAME', `the certificate is for ${quoted(certificate.subjectaltname ?? 'no name')}, and not for ${host}`));
  }
  const isOfDates = distrust === 'CERT_HAS_EXPIRED' || distrust === 'CERT_NOT_YET_VALID';
  if (distrust !== undefined && !isOfDates && distrust !== 'ERR_TLS_CERT_ALTNAME_INVALID') findings.push(distrusted(distrust));
  if (findings.length === 0 && toMillis - nowMillis < SOON_DAYS * DAY_MILLIS && toMillis - fromMillis > 2 * SOON_DAYS * DAY_MILLIS) {
    findings.push(warning(CHECK, 'CERTIFICATE_EXPIRES', `the certificate is good until ${dayOf(certificate.valid_to)} only`));
  }
  return findings;
}

function distrusted(distrust: string): Finding {
  switch (distrust) {
    case 'DEPTH_ZERO_SELF_SIGNED_CERT':
      return wrong(CHECK, 'CERTIFICATE_SELF_SIGNED', 'the certificate is self-signed: no device trusts it by itself');
    case 'SELF_SIGNED_CERT_IN_CHAIN':
      return wrong(CHECK, 'CERTIFICATE_SELF_SIGNED', 'the certificate is of an authority of your own: no device trusts it by itself');
    case 'UNABLE_TO_VERIFY_LEAF_SIGNATURE':
    case 'UNABLE_TO_GET_ISSUER_CERT':
    case 'UNABLE_TO_GET_ISSUER_CERT_LOCALLY':
      return wrong(CHECK, 'CERTIFICATE_CHAIN', 'the certificate comes without those between it and an authority that devices trust; or the authority is your own');
    default:
      return wrong(CHECK, 'TLS_FAILS', `the certificate is not trusted (${quoted(distrust)})`);
  }
}

/** AnkiMobile speaks nothing newer. */
async function checkOldTls(visit: Visit): Promise<Finding[]> {
  try {
    await shakeHands(visit, { maxVersion: 'TLSv1.2' });
    return [];
  } catch (error) {
    const { code = '' } = error as NodeJS.ErrnoException;
    if (/ALERT|VERSION|PROTOCOL/.test(code)) return [warning('TLS 1.2', 'TLS_1_2_MISSING', 'TLS 1.2 is refused, which AnkiMobile needs')];
    return [skipped('TLS 1.2', `could not be tried (${quoted(code)})`)];
  }
}

/** Rejects where no TLS comes about, whoever it is with. */
export function shakeHands({ base, options }: Pick<Visit, 'base' | 'options'>, extra: ConnectionOptions = {}): Promise<Handshake> {
  const host = hostOf(base);
  return new Promise((resolve, reject) => {
    const socket = connect({
      host,
      port: portOf(base),
      timeout: HANDSHAKE_MILLIS,
      rejectUnauthorized: false,
      ALPNProtocols: ['http/1.1'],
      ...(isIP(host) === 0 ? { servername: host } : {}),
      ...(options.ca === undefined ? {} : { ca: [...options.ca] }),
      ...extra,
    });
    socket.once('secureConnect', () => {
      const { authorizationError } = socket;
      const distrust = authorizationError == null ? undefined : ((authorizationError as NodeJS.ErrnoException).code ?? String(authorizationError));
      resolve({ certificate: socket.getPeerCertificate(), ...(distrust === undefined ? {} : { distrust }) });
      socket.destroy();
    });
    socket.once('timeout', () => socket.destroy(Object.assign(new Error('silent'), { code: 'ETIMEDOUT' })));
    socket.once('error', reject);
    socket.once('close', () => reject(Object.assign(new Error('closed'), { code: 'ECONNRESET' })));
  });
}

function issuerOf({ issuer }: PeerCertificate): string {
  const { O, CN } = issuer as { O?: string | string[]; CN?: string | string[] };
  return quoted(String(O ?? CN ?? 'an authority without a name'));
}

function dayOf(date: string): string {
  const millis = Date.parse(date);
  return Number.isNaN(millis) ? 'no day' : new Date(millis).toISOString().slice(0, 10);
}

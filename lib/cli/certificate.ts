/**
 * X.509 certificates (RFC 5280) of keys on P-256, written as DER: Node can read them, but not make them. An authority of one's own, and
 * what it signs for a server. They are two, because clients refuse the certificate of an authority as that of a server.
 */
import { createHash, createPrivateKey, createPublicKey, generateKeyPairSync, randomBytes, sign, X509Certificate, type KeyObject } from 'node:crypto';
import { isIPv4, isIPv6 } from 'node:net';

export interface Signed {
  /** PEM. */
  certificate: string;
  /** PEM, PKCS #8. */
  key: string;
}

const DAY_MILLIS = 24 * 3600 * 1000;

const COMMON_NAME = '2.5.4.3';
const ECDSA_SHA256 = '1.2.840.10045.4.3.2';
const BASIC_CONSTRAINTS = '2.5.29.19';
const KEY_USAGE = '2.5.29.15';
const EXTENDED_KEY_USAGE = '2.5.29.37';
const SUBJECT_ALT_NAME = '2.5.29.17';
const SUBJECT_KEY_ID = '2.5.29.14';
const AUTHORITY_KEY_ID = '2.5.29.35';
const SERVER_AUTH = '1.3.6.1.5.5.7.3.1';

/** Bits of KeyUsage, from the left: digitalSignature is 0, keyCertSign 5, cRLSign 6. */
const SIGNS_CERTIFICATES = Buffer.from([0b0000_0110]);
const SIGNS_HANDSHAKES = Buffer.from([0b1000_0000]);

/** For devices to trust. */
export function makeAuthority(name: string, days: number, nowMillis: number): Signed {
  const { publicKey, privateKey } = newKeys();
  const certificate = signed({
    subject: name, issuer: name, publicKey, issuerKey: privateKey, days, nowMillis,
    extensions: [
      extension(BASIC_CONSTRAINTS, true, sequence(TRUE)),
      extension(KEY_USAGE, true, bits(SIGNS_CERTIFICATES, 1)),
      extension(SUBJECT_KEY_ID, false, octets(keyId(publicKey))),
    ],
  });
  return { certificate, key: pemOf(privateKey) };
}

/** For a server that is reached by these names and addresses; the chain ends with the authority. */
export function makeServerCertificate(authority: Signed, hosts: readonly string[], days: number, nowMillis: number): Signed {
  const { publicKey, privateKey } = newKeys();
  const issuer = new X509Certificate(authority.certificate);
  const issuerKey = createPrivateKey(authority.key);
  const certificate = signed({
    subject: hosts[0]!, issuer: issuer.subject.replace(/^CN=/, ''), publicKey, issuerKey, days, nowMillis,
    extensions: [
      extension(BASIC_CONSTRAINTS, true, sequence()),
      extension(KEY_USAGE, true, bits(SIGNS_HANDSHAKES, 7)),
      extension(EXTENDED_KEY_USAGE, false, sequence(oid(SERVER_AUTH))),
      extension(SUBJECT_ALT_NAME, false, sequence(...hosts.map(generalName))),
      extension(SUBJECT_KEY_ID, false, octets(keyId(publicKey))),
      extension(AUTHORITY_KEY_ID, false, sequence(tagged(0x80, keyId(createPublicKey(issuerKey))))),
    ],
  });
  return { certificate: certificate + authority.certificate, key: pemOf(privateKey) };
}

interface Content {
  subject: string;
  issuer: string;
  publicKey: KeyObject;
  issuerKey: KeyObject;
  days: number;
  nowMillis: number;
  extensions: Buffer[];
}

function signed({ subject, issuer, publicKey, issuerKey, days, nowMillis, extensions }: Content): string {
  const algorithm = sequence(oid(ECDSA_SHA256));
  const toSign = sequence(
    tagged(0xa0, integer(Buffer.from([2]))),
    // the highest bit is the sign, and leading zeros are not allowed
    integer(Buffer.concat([Buffer.from([0x40]), randomBytes(15)])),
    algorithm,
    commonName(issuer),
    // clocks differ
    sequence(time(new Date(nowMillis - DAY_MILLIS)), time(new Date(nowMillis + days * DAY_MILLIS))),
    commonName(subject),
    publicKey.export({ type: 'spki', format: 'der' }),
    tagged(0xa3, sequence(...extensions)),
  );
  const der = sequence(toSign, algorithm, bits(sign('sha256', toSign, issuerKey), 0));
  return `-----BEGIN CERTIFICATE-----\n${der.toString('base64').replaceAll(/.{1,64}/g, '$&\n')}-----END CERTIFICATE-----\n`;
}

function newKeys(): { publicKey: KeyObject; privateKey: KeyObject } {
  return generateKeyPairSync('ec', { namedCurve: 'P-256' });
}

function pemOf(key: KeyObject): string {
  return key.export({ type: 'pkcs8', format: 'pem' }) as string;
}

function keyId(key: KeyObject): Buffer {
  return createHash('sha1').update(key.export({ type: 'spki', format: 'der' })).digest();
}

function commonName(name: string): Buffer {
  return sequence(tagged(0x31, sequence(oid(COMMON_NAME), tagged(0x0c, Buffer.from(name)))));
}

function generalName(host: string): Buffer {
  if (isIPv4(host)) return tagged(0x87, Buffer.from(host.split('.').map(Number)));
  return isIPv6(host) ? tagged(0x87, ipv6Bytes(host)) : tagged(0x82, Buffer.from(host, 'latin1'));
}

function ipv6Bytes(address: string): Buffer {
  // the URL parser writes addresses with an IPv4 end in the common form
  const [head = '', tail] = new URL(`http://[${address}]/`).hostname.slice(1, -1).split('::');
  const groups = (text: string | undefined): string[] => (text === undefined || text === '' ? [] : text.split(':'));
  const [first, last] = [groups(head), groups(tail)];
  const all = [...first, ...new Array<string>(8 - first.length - last.length).fill('0'), ...last];
  return Buffer.from(all.map((group) => group.padStart(4, '0')).join(''), 'hex');
}

// -- DER: a tag, a length, a content

const TRUE = Buffer.from([0x01, 0x01, 0xff]);

function tagged(tag: number, content: Buffer): Buffer {
  const { length } = content;
  const size = length < 0x80 ? [length] : length < 0x100 ? [0x81, length] : [0x82, length >> 8, length & 0xff];
  return Buffer.concat([Buffer.from([tag, ...size]), content]);
}

function sequence(...parts: Buffer[]): Buffer {
  return tagged(0x30, Buffer.concat(parts));
}

function integer(bytes: Buffer): Buffer {
  return tagged(0x02, bytes);
}

function octets(bytes: Buffer): Buffer {
  return tagged(0x04, bytes);
}

function bits(bytes: Buffer, unused: number): Buffer {
  return tagged(0x03, Buffer.concat([Buffer.from([unused]), bytes]));
}

function extension(id: string, isCritical: boolean, value: Buffer): Buffer {
  return sequence(oid(id), ...(isCritical ? [TRUE] : []), octets(value));
}

/** Years from 2050 on have four digits (RFC 5280, 4.1.2.5). */
function time(date: Date): Buffer {
  const digits = date.toISOString().replaceAll(/[-:T]|\.\d+/g, '');
  return date.getUTCFullYear() < 2050 ? tagged(0x17, Buffer.from(digits.slice(2))) : tagged(0x18, Buffer.from(digits));
}

function oid(dotted: string): Buffer {
  const [first = 0, second = 0, ...rest] = dotted.split('.').map(Number);
  const bytes = [first * 40 + second];
  for (const number of rest) {
    const septets = [number & 0x7f];
    for (let left = number >>> 7; left > 0; left >>>= 7) septets.unshift((left & 0x7f) | 0x80);
    bytes.push(...septets);
  }
  return tagged(0x06, Buffer.from(bytes));
}

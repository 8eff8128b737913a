/**
 * Whose address a request comes from, by the name that the official server's SYNC_IP_HEADER takes (those of the Rust crate
 * axum-client-ip). Only the entry written by the nearest proxy is believed: everything left of it can be forged.
 */
import type { IncomingMessage } from 'node:http';
import { isIP } from 'node:net';
import { forwardedAddress, type IsTrustedProxy } from '../../adapters/express/trusted-proxies.ts';

const SOURCES = {
  ConnectInfo: () => undefined,
  CfConnectingIp: (req) => single(req, 'cf-connecting-ip'),
  CloudFrontViewerAddress: (req) => single(req, 'cloudfront-viewer-address')?.replace(/:\d+$/, ''),
  FlyClientIp: (req) => single(req, 'fly-client-ip'),
  RightmostForwarded: (req) => rightmostForwarded(single(req, 'forwarded')),
  RightmostXForwardedFor: (req) => single(req, 'x-forwarded-for')?.split(',').at(-1),
  TrueClientIp: (req) => single(req, 'true-client-ip'),
  XEnvoyExternalAddress: (req) => single(req, 'x-envoy-external-address'),
  XRealIp: (req) => single(req, 'x-real-ip'),
} as const satisfies Record<string, (req: IncomingMessage) => string | undefined>;

export type ClientAddressSource = keyof typeof SOURCES;

export const clientAddressSources = Object.keys(SOURCES) as ClientAddressSource[];

/**
 * The socket's own address where the header is missing or no address: a request that came past the proxy. With proxies declared, only
 * their headers are believed, and without another source X-Forwarded-For is read.
 */
export function clientAddress(req: IncomingMessage, source: ClientAddressSource, isTrusted?: IsTrustedProxy): string | undefined {
  if (isTrusted !== undefined && (source === 'ConnectInfo' || !isTrusted(req.socket.remoteAddress))) return forwardedAddress(req, isTrusted);
  const address = SOURCES[source](req)?.trim().replace(/^\[(.*)\]$/, '$1');
  const found = address !== undefined && isIP(address) !== 0 ? address : req.socket.remoteAddress;
  // a socket that listens on :: shows IPv4 clients in this form
  return found?.replace(/^::ffff:(?=\d+\.)/i, '');
}

/** Node joins repeated headers with commas, in the order they came. */
function single(req: IncomingMessage, name: string): string | undefined {
  const value = req.headers[name];
  return Array.isArray(value) ? value.join(',') : value;
}

/** RFC 7239: `for=192.0.2.1;proto=http, for="[2001:db8::1]:47011"`; the last element's `for`, without quotes and port. */
function rightmostForwarded(header: string | undefined): string | undefined {
  const element = header?.split(',').at(-1);
  const node = /(?:^|;)\s*for\s*=\s*(?:"([^"]*)"|([^;\s]*))/i.exec(element ?? '');
  const address = node?.[1] ?? node?.[2];
  return address === undefined || isIP(address) !== 0 ? address : address.replace(/:\d+$/, '');
}

/** What the server behind a proxy takes for its own address, and for that of its clients. */
import { addressGroup } from '../../auth/address-group.ts';
import { right, warning, type Finding } from '../finding.ts';
import type { Visit } from '../visit.ts';
import { quoted } from '../words.ts';

export async function checkPlace({ base, report, peer }: Visit): Promise<Finding[]> {
  if (report === undefined) return [];
  const findings: Finding[] = [];
  if (comparable(report.url) !== comparable(base.href)) {
    findings.push(warning('own address', 'PUBLIC_URL', `the server takes its own address for ${quoted(report.url)}, and not for ${base.href}`));
  }
  if (seesTheProxy(report, peer)) {
    findings.push(warning('client address', 'CLIENT_ADDRESS', `the server takes this client for ${quoted(report.address ?? '')}, which is its proxy`));
  }
  return findings.length > 0 ? findings : [right('own address', 'known to the server')];
}

/** A client that connects to a public address has none of a private network itself, unless both are the same machine. */
export function seesTheProxy({ address, headers }: { address?: string; headers: readonly string[] }, peer: string | undefined): boolean {
  if (address === undefined || peer === undefined) return false;
  if (isLoopback(address)) return !isLoopback(peer);
  return addressGroup(address).isShared && !addressGroup(peer).isShared && headers.includes('x-forwarded-for');
}

function isLoopback(address: string): boolean {
  return /^(::ffff:)?127\.|^::1$/i.test(address);
}

function comparable(url: string): string {
  return URL.canParse(url) ? new URL(url).href.replace(/\/+$/, '') : url;
}

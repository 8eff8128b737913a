/** The address itself. */
import { addressGroup } from '../../auth/address-group.ts';
import { right, warning, wrong, type Finding } from '../finding.ts';
import { reportIn } from '../report.ts';
import { step, type Visit } from '../visit.ts';

const CHECK = 'address';

/** Corrects `visit.base` where Anki would not, so that the other checks find more than that. */
export async function checkAddress(visit: Visit): Promise<Finding[]> {
  const findings: Finding[] = [];
  const { base } = visit;
  const last = base.pathname.split('/').filter((segment) => segment !== '').at(-1);
  if (base.search !== '' || base.hash !== '') {
    [base.search, base.hash] = ['', ''];
    findings.push(wrong(CHECK, 'ADDRESS_NOT_THE_SERVERS', 'the address goes on after a ? or #'));
  }
  if ((last === 'sync' || last === 'msync') && !(await isMountedThere(visit))) {
    base.pathname = withoutLast(base.pathname);
    findings.push(wrong(CHECK, 'ADDRESS_DOUBLED_SYNC', `the address ends with ${last}/, which Anki appends by itself: it is ${base.href}`));
  } else if (last === 'account') {
    base.pathname = withoutLast(base.pathname);
    findings.push(wrong(CHECK, 'ADDRESS_NOT_THE_SERVERS', `this is the address of the account page: it is ${base.href} for Anki`));
  } else if (!base.pathname.endsWith('/')) {
    base.pathname += '/';
    findings.push(wrong(CHECK, 'SLASH_MISSING', `the slash at the end is missing: it is ${base.href}`));
  }
  return findings.length > 0 ? findings : [right(CHECK, base.href)];
}

/** A proxy may have the server at a path of that name, and take it away. */
async function isMountedThere(visit: Visit): Promise<boolean> {
  const base = new URL(visit.base);
  if (!base.pathname.endsWith('/')) base.pathname += '/';
  const answer = await step({ ...visit, base, verify: false }, 'sync/doctor', { silentMillis: 5_000 }).catch(() => undefined);
  return answer !== undefined && reportIn(answer)?.report.path === '/sync/doctor';
}

function withoutLast(path: string): string {
  return path.replace(/\/[^/]*\/*$/, '/').replace(/\/+$/, '/');
}

/** Where nobody else can listen, http is fine. */
export async function checkEncryption({ base, peer }: Visit): Promise<Finding[]> {
  if (base.protocol === 'https:' || peer === undefined || isNear(peer)) return [];
  return [warning('encryption', 'NOT_ENCRYPTED', 'http, to an address of the public internet')];
}

function isNear(peer: string): boolean {
  return addressGroup(peer).isShared;
}

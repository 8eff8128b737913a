/** All checks, one after the other: from the name to the sign-in. */
import { checkAddress, checkEncryption } from './checks/address.ts';
import { checkAnswers } from './checks/answers.ts';
import { checkBodyLimit } from './checks/body-limit.ts';
import { checkCertificate } from './checks/certificate.ts';
import { checkChunks } from './checks/chunks.ts';
import { checkClock } from './checks/clock.ts';
import { checkConnection, checkName } from './checks/connection.ts';
import { checkMediaPath, checkPath } from './checks/path.ts';
import { checkPlace } from './checks/place.ts';
import { checkRequestHeader } from './checks/request-header.ts';
import { checkSignIn } from './checks/sign-in.ts';
import { checkStreaming } from './checks/streaming.ts';
import { checkTimeouts } from './checks/timeouts.ts';
import { checkVersion } from './checks/version.ts';
import { checkServer } from './checks/who-answers.ts';
import { skipped, wrong, type Finding } from './finding.ts';
import type { Check, DoctorOptions, Visit } from './visit.ts';
import { NoAnswer } from './wire.ts';
import { failure } from './words.ts';

/** What is found wrong early explains what comes later. */
const CHECKS: readonly (readonly [name: string, check: Check])[] = [
  ['address', checkAddress],
  ['name', checkName],
  ['connection', checkConnection],
  ['encryption', checkEncryption],
  ['certificate', checkCertificate],
  ['server', checkServer],
  ['version', checkVersion],
  ['clock', checkClock],
  ['path', checkPath],
  ['media', checkMediaPath],
  ['anki-sync header', checkRequestHeader],
  ['answers', checkAnswers],
  ['chunked bodies', checkChunks],
  ['large bodies', checkBodyLimit],
  ['streaming', checkStreaming],
  ['own address', checkPlace],
  ['sign-in', checkSignIn],
  ['timeouts', checkTimeouts],
];

/** @throws TypeError for an address that is no http:// or https:// URL, or has a password in it */
export async function examine(options: DoctorOptions): Promise<Finding[]> {
  const visit: Visit = { options, base: addressOf(options.address), over: false, verify: true, kind: 'unknown' };
  const findings: Finding[] = [];
  const found = (finding: Finding): void => {
    findings.push(finding);
    options.found?.(finding);
  };
  for (const [name, check] of CHECKS) {
    if (visit.over) {
      found(skipped('everything else', 'comes after that'));
      break;
    }
    options.begins?.(name);
    try {
      for (const finding of await check(visit)) found(finding);
    } catch (error) {
      if (!(error instanceof NoAnswer)) throw error;
      found(wrong(name, error.code === 'SILENT' ? 'PROXY_TIMEOUT' : 'NO_ANSWER', `a request has no answer: ${failure(error)}`));
    }
  }
  return findings;
}

function addressOf(address: string): URL {
  const url = URL.canParse(address) ? new URL(address) : undefined;
  if (url === undefined || (url.protocol !== 'http:' && url.protocol !== 'https:')) {
    throw new TypeError(`"${address}" is no address: https://example.org/anki/`);
  }
  if (url.username !== '' || url.password !== '') throw new TypeError('the address has a name or a password in it, which Anki does not send');
  return url;
}

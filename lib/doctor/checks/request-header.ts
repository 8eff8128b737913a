/** Whether `anki-sync` arrives, which holds the key of the device. */
import { right, skipped, wrong, type Finding } from '../finding.ts';
import { isOurs } from '../report.ts';
import { step, type Visit } from '../visit.ts';
import { byWhom } from '../words.ts';

const CHECK = 'anki-sync header';

export async function checkRequestHeader(visit: Visit): Promise<Finding[]> {
  const lost = wrong(CHECK, 'REQUEST_HEADER_LOST', 'the header anki-sync of requests does not arrive at the server');
  if (visit.report !== undefined && !visit.report.headers.includes('anki-sync')) return [lost];
  // a key that nobody issued: 403 where the header is read, 400 where it is not there
  const answer = await step(visit, 'sync/meta');
  if (answer.status === 403 && (visit.kind === 'other-server' || isOurs(answer, 'HOST_KEY_UNKNOWN'))) return [right(CHECK, 'arrives')];
  if (answer.status === 403) return [wrong(CHECK, 'PROXY_REFUSES', `403${byWhom(answer.headers)}, and not from the sync server`)];
  if (answer.status === 400) return [lost];
  return [skipped(CHECK, `cannot be told: ${answer.status}${byWhom(answer.headers)}`)];
}

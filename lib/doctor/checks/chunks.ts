/** Whether bodies arrive that come in chunks, without a length, and by which version of HTTP. */
import { right, skipped, wrong, type Finding } from '../finding.ts';
import { reportIn } from '../report.ts';
import { step, type Visit } from '../visit.ts';
import { byWhom } from '../words.ts';

const CHECK = 'chunked bodies';
const BODY = Buffer.alloc(48 * 1024, 'anki-sync doctor');

export async function checkChunks(visit: Visit): Promise<Finding[]> {
  if (visit.kind !== 'ours') return [skipped(CHECK, 'cannot be seen on this server')];
  const answer = await step(visit, 'sync/doctor', { body: BODY });
  if (answer.status === 411) return [wrong(CHECK, 'HTTP_1_0', `411${byWhom(answer.headers)}: bodies without a length are refused, and Anki's have none`)];
  const report = reportIn(answer)?.report;
  if (report === undefined) return [wrong(CHECK, 'BODY_LOST', `a body of 48 KiB in chunks is answered by ${answer.status}${byWhom(answer.headers)}`)];
  const findings: Finding[] = [];
  if (report.httpVersion === '1.0') findings.push(wrong(CHECK, 'HTTP_1_0', 'the proxy speaks HTTP/1.0 to the server, which knows no chunks'));
  if (report.receivedBytes !== BODY.length) {
    findings.push(wrong(CHECK, 'BODY_LOST', `of a body of ${BODY.length} bytes in chunks, ${report.receivedBytes} arrive at the server`));
  }
  return findings.length > 0 ? findings : [right(CHECK, 'arrive')];
}

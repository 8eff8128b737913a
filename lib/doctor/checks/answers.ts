/** Whether answers come as the server made them: a zstd frame, and its size in `anki-original-size`. */
import type { DoctorReport } from '../echo.ts';
import { right, skipped, wrong, type Finding } from '../finding.ts';
import { reportIn } from '../report.ts';
import { step, type Visit } from '../visit.ts';
import type { Answer } from '../wire.ts';
import { byWhom, quoted, sized } from '../words.ts';

const CHECK = 'answers';
/** More than a proxy's buffers, as the zip of a few media. */
const FILLER_BYTES = 256 * 1024;
const BASE64 = 4 / 3;

export async function checkAnswers(visit: Visit): Promise<Finding[]> {
  if (visit.kind !== 'ours') return visit.options.user === undefined ? [skipped(CHECK, 'of this server they are seen with --user alone')] : [];
  const answer = await step(visit, `sync/doctor?bytes=${FILLER_BYTES}`);
  const found = reportIn(answer);
  if (found === undefined) return [wrong(CHECK, 'ANSWER_CHANGED', `an answer of ${sized(FILLER_BYTES)} comes as ${answer.status}${byWhom(answer.headers)}${answer.cut === undefined ? '' : ', cut short'}`)];
  const findings = envelopeFaults(answer, found.recompressed);
  const { filler = '' } = found.report as DoctorReport;
  if (findings.length === 0 && (!found.isZstd || filler.length < FILLER_BYTES * BASE64)) {
    findings.push(wrong(CHECK, 'ANSWER_CHANGED', 'answers are unpacked or changed on their way'));
  }
  return findings.length > 0 ? findings : [right(CHECK, 'come unchanged, with anki-original-size')];
}

/** Of any packed answer of status 200. */
export function envelopeFaults({ headers }: Answer, recompressed: readonly string[]): Finding[] {
  const findings: Finding[] = [];
  const encoding = headers['content-encoding'];
  if (recompressed.length > 0 || (encoding !== undefined && encoding !== 'identity')) {
    const by = recompressed.length > 0 ? recompressed.join(', ') : quoted(String(encoding));
    findings.push(wrong(CHECK, 'ANSWER_RECOMPRESSED', `answers are packed once more (${by}), though nobody asked for it`));
  }
  if (headers['anki-original-size'] === undefined) {
    findings.push(wrong(CHECK, 'ANSWER_HEADER_LOST', 'the header anki-original-size of answers is taken away'));
  }
  return findings;
}

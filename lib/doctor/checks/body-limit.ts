/** Whether a large body passes: half of all trouble is a proxy's limit. */
import { randomBytes } from 'node:crypto';
import { right, skipped, wrong, type Finding } from '../finding.ts';
import { isOurs, reportIn } from '../report.ts';
import { DEFAULT_BODY_MIB, MIB, step, type Visit } from '../visit.ts';
import { NoAnswer } from '../wire.ts';
import { byWhom, failure, sized } from '../words.ts';

const CHECK = 'large bodies';
const PIECE_BYTES = 64 * 1024;
const SMALLEST_BYTES = 64 * 1024;

type Outcome = { passed: true; words?: string } | { passed: false; fault: 'BODY_LIMIT' | 'BODY_LOST' | 'PROXY_TIMEOUT' | 'SERVER_DOWN'; words: string } | { passed: undefined; words: string };

export async function checkBodyLimit(visit: Visit): Promise<Finding[]> {
  const bytes = Math.round((visit.options.bodyMib ?? DEFAULT_BODY_MIB) * MIB);
  const outcome = await tryBody(visit, bytes);
  if (outcome.passed === undefined) return [skipped(CHECK, outcome.words)];
  if (outcome.passed) return [right(CHECK, outcome.words ?? `${sized(bytes)} pass`)];
  const passed = outcome.fault === 'BODY_LIMIT' ? await largestThatPasses(visit, bytes) : 0;
  const more = passed > 0 ? `, and of ${sized(passed)} passes` : '';
  return [wrong(CHECK, outcome.fault, `a body of ${sized(bytes)} does not pass${more}: ${outcome.words}`)];
}

/** To within a factor of two. */
async function largestThatPasses(visit: Visit, refusedBytes: number): Promise<number> {
  let passed = 0;
  for (let bytes = SMALLEST_BYTES; bytes < refusedBytes; bytes *= 2) {
    if ((await tryBody(visit, bytes)).passed !== true) break;
    passed = bytes;
  }
  return passed;
}

async function tryBody(visit: Visit, bytes: number): Promise<Outcome> {
  const knows = visit.kind === 'ours';
  let answer;
  try {
    // elsewhere an upload with a key that nobody issued: it is refused, by a 413 where the proxy looks first
    answer = await step(visit, knows ? 'sync/doctor' : 'sync/upload', { body: noise(bytes) });
  } catch (error) {
    if (!(error instanceof NoAnswer)) throw error;
    if (!knows) return { passed: undefined, words: `cannot be told: the server refuses early (${failure(error)})` };
    if (error.code === 'SILENT') return { passed: false, fault: 'PROXY_TIMEOUT', words: 'no answer within 30 seconds' };
    return { passed: false, fault: 'BODY_LIMIT', words: `${failure(error)} after some ${sized(error.sentBytes)}` };
  }
  const { status, headers } = answer;
  const words = `${status}${byWhom(headers)}`;
  if (isOurs(answer, 'BUSY')) return { passed: undefined, words: 'the server is busy' };
  if (status === 413) return { passed: false, fault: 'BODY_LIMIT', words };
  if (!knows) return status === 403 || status === 400 ? { passed: true, words: `no limit met with ${sized(bytes)}` } : { passed: undefined, words: `cannot be told: ${words}` };
  if (status === 408 || status === 504) return { passed: false, fault: 'PROXY_TIMEOUT', words };
  if (status >= 500) return { passed: false, fault: 'SERVER_DOWN', words };
  const report = reportIn(answer)?.report;
  if (report === undefined) return { passed: false, fault: 'BODY_LIMIT', words };
  if (report.receivedBytes === bytes) return { passed: true };
  return { passed: false, fault: 'BODY_LOST', words: `${sized(report.receivedBytes)} of it arrive` };
}

/** Packs to nothing smaller. */
async function* noise(bytes: number): AsyncGenerator<Buffer> {
  const piece = randomBytes(PIECE_BYTES);
  for (let left = bytes; left > 0; left -= PIECE_BYTES) {
    yield piece.subarray(0, Math.min(left, PIECE_BYTES));
    // an answer that refuses the rest is seen before the connection is cut
    await new Promise(setImmediate);
  }
}

/** Whether what is slow may take its time: an upload over a slow line, a device that stands still for a while, a server that thinks. */
import { setTimeout as sleep } from 'node:timers/promises';
import { right, skipped, warning, wrong, type Finding } from '../finding.ts';
import { isOurs, reportIn } from '../report.ts';
import { DEFAULT_SLOW_SECS, step, type Visit } from '../visit.ts';
import { NoAnswer, type Answer } from '../wire.ts';
import { byWhom, failure } from '../words.ts';

const CHECK = 'timeouts';
const PIECE = Buffer.alloc(32 * 1024);
const BETWEEN_MILLIS = 1_000;
/** Anki gives up after 30 seconds without a byte. */
const LONGEST_PAUSE_MILLIS = 25_000;

export async function checkTimeouts(visit: Visit): Promise<Finding[]> {
  const millis = (visit.options.slowSecs ?? DEFAULT_SLOW_SECS) * 1000;
  if (visit.kind !== 'ours') return [skipped(CHECK, 'cannot be seen on this server')];
  if (millis === 0) return [skipped(CHECK, 'left out, as asked')];
  const pauseMillis = Math.min(millis, LONGEST_PAUSE_MILLIS);
  const found = await Promise.all([
    slow(`an upload of ${secs(millis)}`, millis, step(visit, 'sync/doctor', { body: trickle(millis), silentMillis: millis + 30_000 })),
    slow(`an upload with a pause of ${secs(pauseMillis)}`, pauseMillis, step(visit, 'sync/doctor', { body: pausing(pauseMillis), silentMillis: millis + 30_000 })),
    slow(`an answer that begins after ${secs(millis)}`, millis, step(visit, `sync/doctor?wait=${millis}`, { silentMillis: millis + 30_000 })),
    slow(`an answer of ${secs(millis)}`, millis, step(visit, `sync/doctor?drip=${millis}`, { silentMillis: millis + 30_000 }), true),
  ]);
  const findings = found.filter((finding) => finding !== undefined);
  return findings.some(({ mark }) => mark === 'wrong' || mark === 'skipped')
    ? findings
    : [right(CHECK, `uploads and answers may take ${secs(millis)}`), ...findings];
}

/** Undefined where it went well. */
async function slow(what: string, millis: number, asked: Promise<Answer>, isDrip = false): Promise<Finding | undefined> {
  const startedMillis = performance.now();
  const after = (): string => `after ${secs(performance.now() - startedMillis)}`;
  let answer: Answer;
  try {
    answer = await asked;
  } catch (error) {
    if (!(error instanceof NoAnswer)) throw error;
    return wrong(CHECK, 'PROXY_TIMEOUT', `${what} is ended ${after()}: ${failure(error)}`);
  }
  if (isOurs(answer, 'BUSY')) return skipped(CHECK, `${what}: the server is busy`);
  if (answer.cut !== undefined || reportIn(answer) === undefined) {
    return wrong(CHECK, 'PROXY_TIMEOUT', `${what} is ended ${after()}: ${answer.cut === undefined ? `${answer.status}${byWhom(answer.headers)}` : 'the answer is cut'}`);
  }
  if (isDrip && answer.bodyMillis < millis / 4) return warning('streaming', 'ANSWERS_COLLECTED', 'the proxy collects a whole answer before it hands it on');
  return undefined;
}

async function* trickle(millis: number): AsyncGenerator<Buffer> {
  const pieces = Math.max(3, Math.ceil(millis / BETWEEN_MILLIS));
  for (let piece = 0; piece < pieces; piece++) {
    yield PIECE;
    await sleep(millis / pieces);
  }
}

async function* pausing(millis: number): AsyncGenerator<Buffer> {
  yield PIECE;
  await sleep(millis);
  yield PIECE;
}

function secs(millis: number): string {
  return `${millis < 10_000 ? Math.round(millis / 100) / 10 : Math.round(millis / 1000)} s`;
}

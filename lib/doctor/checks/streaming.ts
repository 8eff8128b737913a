/** Whether bodies are handed on as they come, or collected first. */
import { setTimeout as sleep } from 'node:timers/promises';
import { right, skipped, warning, type Finding } from '../finding.ts';
import { reportIn } from '../report.ts';
import { step, type Visit } from '../visit.ts';

const CHECK = 'streaming';
/** Larger than what well-meaning proxies wait for: Apache's 16 KiB. */
const PIECE = Buffer.alloc(64 * 1024);
const PIECES = 4;
const BETWEEN_MILLIS = 500;
const SENDING_MILLIS = (PIECES - 1) * BETWEEN_MILLIS;

export async function checkStreaming(visit: Visit): Promise<Finding[]> {
  if (visit.kind !== 'ours') return [skipped(CHECK, 'cannot be seen on this server')];
  // a machine that is busy may look like it once
  for (let tries = 0; tries < 2; tries++) {
    const report = reportIn(await step(visit, 'sync/doctor', { body: slowPieces() }))?.report;
    if (report === undefined) return [skipped(CHECK, 'cannot be told: a slow body has no answer')];
    if (report.bodyMillis >= SENDING_MILLIS / 2) return [right(CHECK, 'bodies are handed on as they come')];
  }
  return [warning(CHECK, 'BODIES_COLLECTED', 'the proxy collects a whole body before it hands it on')];
}

async function* slowPieces(): AsyncGenerator<Buffer> {
  for (let piece = 0; piece < PIECES; piece++) {
    if (piece > 0) await sleep(BETWEEN_MILLIS);
    yield PIECE;
  }
}

/** One examination: what was asked for, and what the checks told each other. */
import { setTimeout as sleep } from 'node:timers/promises';
import { zstdCompressSync } from 'node:zlib';
import type { DoctorReport } from './echo.ts';
import type { Finding } from './finding.ts';
import { isOurs } from './report.ts';
import { send, type Answer, type Ask } from './wire.ts';

/** 200 MB unpacked are some hours of a slow line; these are a few seconds. */
export const DEFAULT_BODY_MIB = 8;
/** Longer than the 30 seconds that proxies often wait. */
export const DEFAULT_SLOW_SECS = 35;

export interface DoctorOptions {
  /** As entered in Anki. */
  address: string;
  /** PEM of the authorities to trust. Default: those that Node trusts. */
  ca?: readonly string[] | undefined;
  /** How large a body has to pass. Default 8 MiB; the server reads up to 128. */
  bodyMib?: number | undefined;
  /** How long something slow has to go on; 0: nothing slow is tried. Default 35; the server goes up to 120. */
  slowSecs?: number | undefined;
  /** Signs in, and leaves a device named doctor. */
  user?: { name: string; password: string } | undefined;
  /** Called before each check, some of which take a while. */
  begins?: ((check: string) => void) | undefined;
  /** Called as each one is found. */
  found?: ((finding: Finding) => void) | undefined;
}

/** What answers there. `older`: ours, before it knew examinations; `closed`: ours, which answers none. */
export type Kind = 'ours' | 'older' | 'closed' | 'other-server' | 'unknown';

export interface Visit {
  readonly options: DoctorOptions;
  /** With a slash at its end. */
  base: URL;
  /** Nothing more can be found out. */
  over: boolean;
  /** false once the certificate was found wrong: what follows is looked at all the same, but without a password. */
  verify: boolean;
  kind: Kind;
  /** Of the first examination, and what the server said in it. */
  answer?: Answer;
  report?: DoctorReport;
  /** An address of the server that the connection went to. */
  peer?: string;
}

export type Check = (visit: Visit) => Promise<Finding[]>;

export const MIB = 1024 * 1024;
const BUSY_TRIES = 3;
const BUSY_SECS = 3;
const EMPTY = zstdCompressSync('{}');
/** No server issued it. */
const NO_KEY = 'anki-sync-doctor';

export function syncHeader(hostKey = NO_KEY): string {
  return JSON.stringify({ v: 11, k: hostKey, c: 'doctor,anki-sync,doctor', s: 'doctor' });
}

/** A step of a sync as Anki sends it, with an empty input; once more where the server is busy and the body can be had again. Throws NoAnswer. */
export async function step(visit: Visit, path: string, ask: Partial<Omit<Ask, 'url'>> = {}): Promise<Answer> {
  const whole: Ask = {
    url: new URL(path, visit.base),
    body: EMPTY,
    ca: visit.options.ca,
    verify: visit.verify,
    ...ask,
    headers: { 'anki-sync': syncHeader(), ...ask.headers },
  };
  for (let tries = 1; ; tries++) {
    const answer = await send(whole);
    if (tries === BUSY_TRIES || !isOurs(answer, 'BUSY') || !(whole.body instanceof Uint8Array)) return answer;
    await sleep(Math.min(Number(answer.headers['retry-after']) || 1, BUSY_SECS) * 1000);
  }
}

/**
 * Which day of study it is, as the official server reckons at `start`, to bring buried cards back once a day
 * (rslib: `scheduler/mod.rs` with `server = true`, `scheduler/timing.rs`, `bury_and_suspend.rs`).
 */
import type { Json } from './json.ts';
import { isI32, isU32, isU8 } from './wire-values.ts';

const DAY_SECS = 86_400;
const HOUR_SECS = 3_600;

/** The hour that Anki writes into `rollover` where the v2 scheduler finds none, or none that is valid. */
export const DEFAULT_ROLLOVER_HOUR = 4;

export interface SchedulerDayInput {
  /** `crt` of the collection. */
  creationSecs: number;
  nowSecs: number;
  /** The whole config map; read are `schedVer`, `rollover`, `creationOffset`, `localOffset`. */
  config: { readonly [key: string]: Json };
}

/**
 * Days since the collection's creation. Offsets of the config are minutes west of UTC; the server uses the one that a client
 * wrote last, else UTC. Never negative: as in Anki, a day before creation wraps to a large number in the two old ways of reckoning.
 */
export function schedulerDay({ creationSecs, nowSecs, config }: SchedulerDayInput): number {
  if (!isV2Scheduler(config)) return toU32((nowSecs - creationSecs) / DAY_SECS);

  const rolloverSecs = (validRollover(config) ?? DEFAULT_ROLLOVER_HOUR) * HOUR_SECS;
  const localWestSecs = westSecs(config['localOffset']) ?? 0;
  const creationWestSecs = westSecs(config['creationOffset']);
  if (creationWestSecs === undefined) {
    const creationRollover = dayOf(creationSecs, localWestSecs) * DAY_SECS + localWestSecs + rolloverSecs;
    return toU32((nowSecs - creationRollover) / DAY_SECS);
  }
  const today = dayOf(nowSecs, localWestSecs);
  const rolloverPassed = today * DAY_SECS + localWestSecs + rolloverSecs <= nowSecs;
  const days = today - dayOf(creationSecs, creationWestSecs) - (rolloverPassed ? 0 : 1);
  return Math.max(days, 0);
}

/**
 * Whether buried cards come back now: on a later day than the last time, or when that lies so far ahead that a clock was wrong.
 * @param lastUnburied config `lastUnburied`; anything that is no day counts as 0
 */
export function needsUnbury(lastUnburied: Json | undefined, today: number): boolean {
  const last = isU32(lastUnburied) ? (lastUnburied as number) : 0;
  return last < today || toU32(today + 7) < last;
}

/** Whether Anki, on this occasion, writes `rollover` into the config: for the v2 scheduler without a valid one. */
export function lacksRollover(config: { readonly [key: string]: Json }): boolean {
  return isV2Scheduler(config) && validRollover(config) === undefined;
}

function isV2Scheduler(config: { readonly [key: string]: Json }): boolean {
  return config['schedVer'] === 2;
}

function validRollover(config: { readonly [key: string]: Json }): number | undefined {
  const hour = config['rollover'];
  return isU8(hour) ? Math.min(hour as number, 23) : undefined;
}

/** Undefined where the minutes are none, or a day and more. */
function westSecs(minutes: Json | undefined): number | undefined {
  if (!isI32(minutes)) return undefined;
  const secs = Math.imul(minutes as number, 60);
  return Math.abs(secs) < DAY_SECS ? secs : undefined;
}

/** Days since 1970 by the calendar of the offset. */
function dayOf(secs: number, westOffsetSecs: number): number {
  return Math.floor((secs - westOffsetSecs) / DAY_SECS);
}

/** Cuts towards zero, and wraps at 32 bits. */
function toU32(value: number): number {
  return Math.trunc(value) >>> 0;
}

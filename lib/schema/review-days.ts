/** Which day a review belongs to, for pages that show reviews by day. */
import { DEFAULT_ROLLOVER_HOUR } from './scheduler-day.ts';

const DAY_MILLIS = 86_400_000;
const MAX_WEST_MINUTES = 24 * 60;

export interface DayRule {
  /** Config `localOffset`: minutes west of UTC, as a client wrote it last. Anything that is none counts as 0. */
  localOffset: unknown;
  /** Config `rollover`: the hour at which a day begins. */
  rollover: unknown;
}

/** Milliseconds to take from a time, so that days begin at multiples of 86,400,000. */
export function dayShiftMillis({ localOffset, rollover }: DayRule): number {
  const west = typeof localOffset === 'number' && Math.abs(localOffset) < MAX_WEST_MINUTES ? localOffset : 0;
  const hour = typeof rollover === 'number' && rollover >= 0 && rollover <= 23 ? rollover : DEFAULT_ROLLOVER_HOUR;
  return Math.trunc(west) * 60_000 + Math.trunc(hour) * 3_600_000;
}

/** Days since 1970 by this rule. */
export function dayOf(millis: number, shiftMillis: number): number {
  return Math.floor((millis - shiftMillis) / DAY_MILLIS);
}

/** When a day begins. */
export function dayStartMillis(day: number, shiftMillis: number): number {
  return day * DAY_MILLIS + shiftMillis;
}

/** What a page shows of an open collection, without walking it. */
import type { Statement } from 'better-sqlite3';
import { dayOf, dayShiftMillis, dayStartMillis } from '../../schema/review-days.ts';
import type { CollectionOverview, OverviewRequest, ReviewDay } from '../storage.ts';
import type { RowCounts } from './row-counts.ts';

/** Also what is still in the log alone, and not the pages of deleted rows, which the file keeps for new ones. */
export const USED_BYTES = `(SELECT (page_count - freelist_count) * page_size FROM pragma_page_count, pragma_freelist_count, pragma_page_size)`;

/** Where no sync has counted yet, SQLite walks an index: up to here that takes some milliseconds. */
const MAX_COUNTED = 100_000;

/** @param counts as a sync counted them; undefined after an upload, until the next sync */
export function readOverview(
  prepare: (sql: string) => Statement,
  counts: RowCounts | undefined,
  { nowMillis, days }: OverviewRequest,
): CollectionOverview {
  const [modifiedMillis, lastSyncMillis, localOffset, rollover, bytes] = prepare(
    `SELECT mod, ls, conf ->> '$.localOffset', conf ->> '$.rollover', ${USED_BYTES} FROM col`,
  ).raw().get() as [number, number, unknown, unknown, number];
  const shiftMillis = dayShiftMillis({ localOffset, rollover });
  const today = dayOf(nowMillis, shiftMillis);
  const sinceMillis = dayStartMillis(today - days + 1, shiftMillis);
  const untilMillis = dayStartMillis(today + 1, shiftMillis);
  // a revlog row's id is the moment of the answer; ease 0 is a change by hand
  const reviewDays = days === 0 ? [] : prepare(
    `SELECT @today - (id - @shiftMillis) / 86400000 AS daysAgo, count(*) AS reviews, sum(max(0, time)) AS millis
     FROM revlog WHERE id >= @sinceMillis AND id < @untilMillis AND ease BETWEEN 1 AND 4 GROUP BY 1 ORDER BY 1`,
  ).raw(false).all({ today: BigInt(today), shiftMillis: BigInt(shiftMillis), sinceMillis: BigInt(sinceMillis), untilMillis: BigInt(untilMillis) }) as ReviewDay[];
  return {
    cards: counts?.cards ?? countUpTo(prepare, 'cards'),
    notes: counts?.notes ?? countUpTo(prepare, 'notes'),
    modifiedMillis,
    lastSyncMillis,
    bytes,
    reviewDays,
  };
}

function countUpTo(prepare: (sql: string) => Statement, table: 'cards' | 'notes'): number | undefined {
  const count = prepare(`SELECT count(*) FROM (SELECT 1 FROM ${table} LIMIT ${MAX_COUNTED + 1})`).pluck().get() as number;
  return count > MAX_COUNTED ? undefined : count;
}

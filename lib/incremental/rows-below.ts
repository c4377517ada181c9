import type { Watermark } from '../../contracts/incremental.ts';
import type { Database } from '../duckdb/database.ts';
import { AT } from './unseen-rows.ts';
import type { WatermarkColumn } from './watermark-column.ts';

/** Rows of a source below a bound, which it counted and did not send. */
export interface RowsBelow {
  /** Those whose time is missing or infinite. */
  withoutTime: number;
  /** The others by the whole hours of their time since 1970 in UTC. */
  byHour: ReadonlyMap<number, number>;
}

const HOUR = '3600000000';

/**
 * How many rows of a source lie below a bound and were never taken. Counts are compared hour by hour: rows that were
 * deleted at the source since, or moved on to a later time, do not hide others that came for another hour.
 *
 * @param taken SQL relation of the rows that earlier reads took
 */
export async function untakenBelow(
  database: Database,
  taken: string,
  column: WatermarkColumn,
  bound: Watermark,
  { byHour }: RowsBelow,
): Promise<number> {
  // Floor and not truncation: times before 1970 are negative.
  const known = await database.rows(
    `SELECT (${AT} - ((${AT} % ${HOUR}) + ${HOUR}) % ${HOUR}) // ${HOUR} AS hour, count(*) AS rows
     FROM (SELECT ${column.sql} AS ${AT} FROM ${taken}) WHERE ${AT} < ${column.literal(bound)} GROUP BY ALL`,
  );
  const takenIn = new Map(known.map(({ hour, rows }) => [Number(hour), Number(rows)]));
  let untaken = 0;
  for (const [hour, rows] of byHour) untaken += Math.max(0, rows - (takenIn.get(hour) ?? 0));
  return untaken;
}

import type { Watermark } from '../../contracts/incremental.ts';
import type { TableRef } from '../../contracts/refs.ts';
import type { Database } from '../duckdb/database.ts';
import { quoteIdent } from '../duckdb/sql.ts';
import type { WatermarkColumn } from './watermark-column.ts';

/** The temporary table of {@link findUnseen}: the columns of the source, and the watermark value of each row. */
export const UNSEEN = '__perennial_unseen';
export const AT = '__perennial_at';
const SIDE = '__perennial_side';
const DIFFERING = '__perennial_differing';

/** Counts of rows. */
export interface Unseen {
  /** Rows that are not after the watermark and were not read before: from the lower bound on. */
  late: number;
  /** The same below the lower bound. */
  tooOld: number;
  /** Rows that were read before. */
  seenBefore: number;
}

/**
 * Finds the rows of a source that are not after the watermark and that no earlier read took, by comparing whole rows:
 * two equal rows of which one was taken leave one. Columns that came newly do not make an old row a new one.
 *
 * Rows are first compared by watermark value, as a count and a sum of 64-bit hashes; only values where these differ
 * are compared row by row, so that the common case needs memory for the values and not for the rows.
 *
 * @param source SQL relation of the source's rows
 * @param taken SQL relation of the rows that earlier reads took
 * @param known the columns of `taken`
 * @param low below it a row is too old
 */
export async function findUnseen(
  database: Database,
  column: WatermarkColumn,
  source: string,
  taken: string,
  known: TableRef['columns'],
  watermark: Watermark,
  low: Watermark | null,
): Promise<Unseen> {
  const names = known.map(({ name }) => quoteIdent(name)).join(', ');
  const floor = low === null ? '' : `AND ${AT} >= ${column.literal(low)}`;
  // One relation for both sides, so that both have the same types: a number may have become wider.
  const both = `(SELECT *, ${column.sql} AS ${AT} FROM (SELECT 0 AS ${SIDE}, * FROM ${source} UNION ALL BY NAME SELECT 1 AS ${SIDE}, * FROM ${taken}))`;
  const older = `${AT} <= ${column.literal(watermark)}`;
  await database.run(`CREATE OR REPLACE TEMP TABLE ${DIFFERING} AS
    SELECT ${AT} FROM (
      SELECT ${AT}, ${SIDE}, hash(${names})::HUGEINT AS digest FROM ${both} WHERE ${older}
    ) GROUP BY ${AT}
    HAVING count_if(${SIDE} = 0) > 0 AND (
      count_if(${SIDE} = 0) <> count_if(${SIDE} = 1)
      OR sum(digest) FILTER (${SIDE} = 0) IS DISTINCT FROM sum(digest) FILTER (${SIDE} = 1))`);
  await database.run(`CREATE OR REPLACE TEMP TABLE ${UNSEEN} AS
    SELECT * EXCLUDE (${SIDE}, __perennial_number, __perennial_taken) FROM (
      SELECT *,
        row_number() OVER (PARTITION BY ${SIDE}, ${names} ORDER BY hash(line)) AS __perennial_number,
        count_if(${SIDE} = 1) OVER (PARTITION BY ${names}) AS __perennial_taken
      FROM ${both} AS line WHERE ${older} AND ${AT} IN (SELECT ${AT} FROM ${DIFFERING})
    ) WHERE ${SIDE} = 0 AND __perennial_number > __perennial_taken`);
  const counts = await database.row(`SELECT
      (SELECT count(*) FROM (SELECT ${column.sql} AS ${AT} FROM ${source}) WHERE ${older}) AS older,
      (SELECT count(*) FROM ${UNSEEN}) AS unseen,
      (SELECT count(*) FROM ${UNSEEN} WHERE true ${floor}) AS late`);
  const [olderRows, unseen, late] = [counts.older, counts.unseen, counts.late].map(Number);
  return {
    late: late ?? 0,
    tooOld: (unseen ?? 0) - (late ?? 0),
    seenBefore: (olderRows ?? 0) - (unseen ?? 0),
  };
}

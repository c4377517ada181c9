import type { Database } from '../duckdb/database.ts';
import { quoteIdent } from '../duckdb/sql.ts';
import { type Check, countOf, type Finding } from './check.ts';
import { type CheckedTable, familyOf, ROW } from './table.ts';

/**
 * Widest range of integers that gets a bit per number: 16 MiB for each thread. Beyond it a hash table is used,
 * which costs about five times as much.
 */
const MAX_BITS = 2n ** 27n;
/** Bits where the range is not known before the scan; what lies outside makes a second scan necessary. */
const BLIND_BITS = 2n ** 24n;
const BLIND_SAMPLE = 1_000;
const MAX_BIGINT = 2n ** 63n - 1n;

/** Types whose numbers BIGINT holds. */
const WITH_BITS = /^U?(TINYINT|SMALLINT|INTEGER)$|^BIGINT$/;

const keysOf = (columns: readonly string[]): string => columns.map(quoteIdent).join(', ');
// As in SQL's UNIQUE, a key with a missing part equals no other.
const wholeOf = (columns: readonly string[]): string =>
  columns.map((column) => `${quoteIdent(column)} IS NOT NULL`).join(' AND ');

/** Row numbers of those rows whose key stood in a row before. */
export function repeatedRows(table: CheckedTable, columns: readonly string[]): string {
  const keys = keysOf(columns);
  const whole = wholeOf(columns);
  return `SELECT ${ROW} FROM (
    SELECT ${ROW}, row_number() OVER (PARTITION BY ${keys} ORDER BY ${ROW}) AS __perennial_turn
    FROM ${table.numbered} SEMI JOIN (
      SELECT ${keys} FROM ${table.from} WHERE ${whole} GROUP BY ${keys} HAVING count(*) > 1
    ) AS __perennial_repeated USING (${keys})
  ) WHERE __perennial_turn > 1`;
}

/** Counts rows whose key stood in a row before, in a statement of its own. */
export async function countRepeated(
  database: Database,
  table: CheckedTable,
  columns: readonly string[],
  where: string,
): Promise<Finding> {
  const whole = `FILTER (WHERE ${wholeOf(columns)})`;
  const key = columns.length === 1 ? keysOf(columns) : `row(${keysOf(columns)})`;
  const { violations } = await database.row(
    `SELECT count(*) ${whole} - count(DISTINCT ${key}) ${whole} AS violations FROM ${table.from}`,
    'ColumnInvalid',
    where,
  );
  return { violations: countOf(violations) };
}

/** A range of integers, or `undefined` where bits would not be worth it. */
type Range = { low: bigint; high: bigint } | undefined;

async function rangeOf(database: Database, table: CheckedTable, column: string): Promise<Range> {
  const name = quoteIdent(column);
  // Parquet answers from its footer. A text format is read once: its first rows tell where the numbers lie.
  const from = table.parquet ? table.from : `(SELECT ${name} FROM ${table.from} LIMIT ${BLIND_SAMPLE})`;
  const row = await database.row(
    `SELECT CAST(min(${name}) AS VARCHAR) AS low, CAST(max(${name}) AS VARCHAR) AS high FROM ${from}`,
  );
  if (typeof row.low !== 'string' || typeof row.high !== 'string') return undefined;
  const [low, high] = [BigInt(row.low), BigInt(row.high)];
  if (table.parquet) return high - low < MAX_BITS ? { low, high } : undefined;
  if (high - low >= BLIND_BITS / 2n) return undefined;
  const [least, greatest] = [low - BLIND_BITS / 8n, low + (BLIND_BITS / 8n) * 7n];
  return {
    low: least < -MAX_BIGINT ? -MAX_BIGINT : least,
    high: greatest > MAX_BIGINT ? MAX_BIGINT : greatest,
  };
}

/**
 * Compiles `unique`. One integer column within a narrow range is exact in the table's one scan: a bit for each
 * number, and as many bits as values where all differ. All else has a statement of its own.
 */
export async function uniqueness(
  database: Database,
  check: Omit<Check, 'aggregates'>,
  columns: readonly string[],
): Promise<Check> {
  const { table, where } = check;
  const [column] = columns;
  const type = table.columns.find((item) => item.name === column)?.type ?? '';
  const statement = (): Promise<Finding> => countRepeated(database, table, columns, where);
  const plain: Check = { ...check, aggregates: [], statement, flagged: repeatedRows(table, columns) };
  if (columns.length !== 1 || column === undefined || familyOf(type) !== 'integer' || !WITH_BITS.test(type))
    return plain;
  const range = await rangeOf(database, table, column);
  if (!range) return plain;
  // Bounds are of the column's own type, or the bits could not be addressed.
  const name = table.parquet ? quoteIdent(column) : `CAST(${quoteIdent(column)} AS BIGINT)`;
  const inside = `${name} BETWEEN ${range.low} AND ${range.high}`;
  const bits = `bitstring_agg(${name}, ${range.low}, ${range.high})`;
  return {
    ...plain,
    aggregates: [
      `count(${name})`,
      table.parquet ? `count(${name})` : `count(*) FILTER (WHERE ${inside})`,
      `bit_count(${table.parquet ? bits : `${bits} FILTER (WHERE ${inside})`})`,
    ],
    judge: ([values, counted, distinct]) =>
      countOf(values) === countOf(counted) ? { violations: countOf(values) - countOf(distinct) } : undefined,
  };
}

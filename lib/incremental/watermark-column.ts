import { PerennialError } from '../../contracts/errors.ts';
import type { Watermark } from '../../contracts/incremental.ts';
import type { TableRef } from '../../contracts/refs.ts';
import { missingColumn } from '../data/missing-column.ts';
import { quoteIdent, quoteLiteral } from '../duckdb/sql.ts';

/** A watermark column as the engine compares it. */
export interface WatermarkColumn {
  name: string;
  kind: Watermark['kind'];
  /** The value of a row: microseconds since 1970 or a number; NULL where there is none to compare. */
  sql: string;
  /** A watermark as `sql` compares exactly with it. */
  literal(bound: Watermark): string;
}

const plain = ({ value }: Watermark): string => value;
/** Digits with a point are a DECIMAL, which is rounded otherwise than text on its way to a DOUBLE. */
const asDouble = ({ value }: Watermark): string => `CAST(${quoteLiteral(value)} AS DOUBLE)`;

const ZONED = 'TIMESTAMP WITH TIME ZONE';
const TIMES = new Set(['DATE', 'TIMESTAMP', 'TIMESTAMP_S', 'TIMESTAMP_MS', 'TIMESTAMP_NS', ZONED]);
const WHOLE = /^(U?(TINY|SMALL|BIG|HUGE)?INT(EGER)?|UINTEGER|DECIMAL.*)$/;

/**
 * The watermark column of a table.
 *
 * @param lateness whether the source has one; only times can be late by a duration
 * @throws PerennialError `ColumnMissing`, `ColumnInvalid` where its values have no order in time
 */
export function watermarkColumn(
  source: string,
  name: string,
  columns: TableRef['columns'],
  lateness: boolean,
): WatermarkColumn {
  const where = `source ${source}, incremental.watermark`;
  const type = columns.find((column) => column.name === name)?.type;
  if (type === undefined)
    throw missingColumn(
      where,
      name,
      columns.map((column) => column.name),
    );
  const column = quoteIdent(name);
  if (TIMES.has(type)) {
    // Infinite times are placeholders; one of them would be the last watermark for ever.
    const time = type === ZONED ? column : `CAST(${column} AS TIMESTAMP)`;
    return {
      name,
      kind: 'time',
      sql: `CASE WHEN isfinite(${time}) THEN epoch_us(${time}) END`,
      literal: plain,
    };
  }
  const whole = WHOLE.test(type);
  if (!whole && type !== 'DOUBLE' && type !== 'FLOAT')
    throw new PerennialError(
      'ColumnInvalid',
      `${where}: ${name} is ${type}; it must be a date, a time or a number. Where it is read as text, name its type under types`,
    );
  if (lateness)
    throw new PerennialError(
      'ColumnInvalid',
      `source ${source}, incremental.lateness: ${name} is ${type}, and only a date or time can be late by a duration; leave lateness out`,
    );
  const double = `CAST(${column} AS DOUBLE)`;
  return {
    name,
    kind: 'number',
    sql: whole ? column : `CASE WHEN isfinite(${double}) THEN ${double} END`,
    literal: whole ? plain : asDouble,
  };
}

/**
 * The condition by which PostgreSQL gives only the rows at or above a bound.
 *
 * @example postgresCondition('changed_at', { kind: 'time', value: '0' }) === `"changed_at" >= '1970-01-01T00:00:00.000000Z'`
 */
export function postgresCondition(column: string, bound: Watermark): string {
  // A literal without a type takes that of the column; a column without a zone ignores the Z.
  return `${quoteIdent(column)} >= ${quoteLiteral(bound.kind === 'time' ? isoMicros(bound.value) : bound.value)}`;
}

/** ISO 8601 with microseconds, which a Date does not have. */
function isoMicros(value: string): string {
  const micros = BigInt(value);
  const rest = ((micros % 1_000n) + 1_000n) % 1_000n;
  const iso = new Date(Number((micros - rest) / 1_000n)).toISOString();
  return iso.replace('Z', `${String(rest).padStart(3, '0')}Z`);
}

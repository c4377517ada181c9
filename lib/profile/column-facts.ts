import type { ColumnProfile } from '../../contracts/profile.ts';
import type { Database } from '../duckdb/database.ts';
import { isoMoment, type ProfiledColumn, partsOf } from './column-kinds.ts';

/** Columns in one statement. */
const AT_ONCE = 64;

/** What one scan of all rows says about a column. */
export type ColumnFacts = Pick<
  ColumnProfile,
  'values' | 'missing' | 'min' | 'max' | 'mean' | 'std' | 'zeros' | 'negatives' | 'infinite' | 'lengths'
> & {
  /** HyperLogLog's estimate. */
  approximateDistinct: number;
  /** Extremes as DOUBLE, for bins; null where there are no finite ones. */
  range: [number, number] | null;
};

/** Counts, extremes, means and lengths of all columns in one scan (of 64 columns each). */
export async function columnFacts(
  database: Database,
  relation: string,
  columns: readonly ProfiledColumn[],
): Promise<{ rows: number; facts: ColumnFacts[] }> {
  const facts: ColumnFacts[] = [];
  let rows = 0;
  for (const part of partsOf(columns, AT_ONCE)) {
    const row = await database.row(
      `SELECT count(*) AS n, ${part.map(aggregates).join(', ')} FROM ${relation}`,
      'SourceUnreadable',
      'the profile',
    );
    rows = Number(row.n);
    facts.push(...part.map((column, index) => factsOf(row, column, index)));
  }
  return { rows, facts };
}

function aggregates(column: ProfiledColumn, index: number): string {
  const { sql, number, kind } = column;
  const named = (parts: Record<string, string>): string =>
    Object.entries(parts)
      .map(([name, part]) => `${part} AS ${name}${index}`)
      .join(', ');
  if (kind === 'other') return named({ c: `count(${sql})` });
  const common = { c: `count(${sql})`, d: `approx_count_distinct(${sql})` };
  if (kind === 'text') {
    const length = `length(CAST(${sql} AS VARCHAR))`;
    return named({
      ...common,
      lo: `min(${length})`,
      hi: `max(${length})`,
      m: `avg(${length})`,
      z: `count_if(${length} = 0)`,
    });
  }
  if (kind === 'boolean')
    return named({ ...common, m: `avg(CAST(${sql} AS INTEGER))`, z: `count_if(NOT ${sql})` });
  if (kind === 'moment') return named({ ...common, lo: `epoch(min(${sql}))`, hi: `epoch(max(${sql}))` });
  const isFloat = /^(FLOAT|DOUBLE)$/.test(column.type);
  // Infinities would make mean and deviation NaN; integers have none, and the filter costs.
  const finite = isFloat ? ` FILTER (WHERE isfinite(${sql}))` : '';
  return named({
    ...common,
    lo: `CAST(min(${sql})${finite} AS DOUBLE)`,
    hi: `CAST(max(${sql})${finite} AS DOUBLE)`,
    m: `avg(${number})${finite}`,
    // The engine refuses a variance that is no finite number.
    s: `stddev_samp(${number})${isFloat ? ` FILTER (WHERE abs(${sql}) <= 1e30)` : ''}`,
    z: `count_if(${sql} = 0)`,
    g: `count_if(${sql} < 0)`,
    i: isFloat ? `count_if(isinf(${sql}))` : '0',
  });
}

function factsOf(row: Record<string, unknown>, column: ProfiledColumn, index: number): ColumnFacts {
  const number = (name: string): number | null => {
    const value = row[`${name}${index}`];
    return typeof value === 'number' && Number.isFinite(value) ? value : null;
  };
  const values = number('c') ?? 0;
  const [low, high] = [number('lo'), number('hi')];
  const bound = (value: number | null): number | string | null =>
    value === null || column.kind === 'text' ? null : column.kind === 'moment' ? isoMoment(value) : value;
  return {
    values,
    missing: Number(row.n) - values,
    min: bound(low),
    max: bound(high),
    mean: column.kind === 'text' ? null : stable(number('m')),
    std: stable(number('s')),
    zeros: column.kind === 'text' ? 0 : (number('z') ?? 0),
    negatives: number('g') ?? 0,
    infinite: number('i') ?? 0,
    lengths:
      column.kind === 'text' && low !== null && high !== null
        ? { min: low, mean: number('m') ?? 0, max: high, empty: number('z') ?? 0 }
        : null,
    approximateDistinct: Math.min(number('d') ?? 0, values),
    range: column.kind !== 'text' && low !== null && high !== null ? [low, high] : null,
  };
}

/** Threads add up in another order each time, which moves the last digits. */
const stable = (value: number | null): number | null =>
  value === null ? null : Number(value.toPrecision(13));

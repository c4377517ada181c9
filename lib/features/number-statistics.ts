import type { DuckDBConnection } from '@duckdb/node-api';
import { refused } from '../duckdb/database.ts';
import type { FittedNumber } from './feature-plan.ts';

/** A number to be summarised: an SQL expression over the relation (NULL = missing) and what is to be learned. */
export interface NumberTask {
  sql: string;
  /** How a missing value is replaced; a number stands for itself. */
  impute: 'median' | 'mean' | 'mode' | number;
  scale: 'standard' | 'minmax' | 'none';
  clip?: readonly [number, number] | undefined;
}

/** What was learned. `value` is left out where all values are the same (or there are none). */
export interface NumberStatistics {
  present: number;
  value?: FittedNumber;
}

/** Statistics by name (`n`, `min`, `mean`, …); an absent one was not asked for, or there was no value. */
type Summary = ReadonlyMap<string, number>;

const MAX_FLOAT32 = 3.4028234663852886e38;

/**
 * Summarises numbers over a relation in one scan, and in a second one where some are clipped (mean and deviation
 * are those of the clipped values). The median is exact; the deviation is the population's. Statistics are rounded
 * to float32, which also hides that a parallel sum has other last digits each time.
 *
 * @param relation SQL that may stand after FROM
 * @param others further expressions, whose non-NULL rows are counted in the same scan
 */
export async function numberStatistics(
  connection: DuckDBConnection,
  relation: string,
  tasks: readonly NumberTask[],
  others: readonly string[] = [],
): Promise<{ rows: number; numbers: NumberStatistics[]; counts: number[] }> {
  const first = await aggregates(connection, relation, [
    { sql: '0', aggregates: { n: 'count(*)' } },
    ...tasks.map((task) => ({ sql: `CAST(${task.sql} AS DOUBLE)`, aggregates: firstAggregates(task) })),
    ...others.map((sql) => ({ sql, aggregates: { n: 'count($)' } })),
  ]);
  const [all, ...rest] = first;
  const summaries = rest.slice(0, tasks.length);

  const clipped = tasks.flatMap((task, index) => {
    const low = summaries[index]?.get('low');
    const high = summaries[index]?.get('high');
    if (low === undefined || high === undefined) return [];
    const value = `CAST(${task.sql} AS DOUBLE)`;
    // DuckDB's greatest and least pass over NULL: a missing value would become a bound.
    const sql = `CASE WHEN ${value} IS NOT NULL THEN greatest(least(${value}, ${high}), ${low}) END`;
    return [{ index, sql, aggregates: CLIPPED_MOMENTS }];
  });
  if (clipped.length > 0) {
    const second = await aggregates(connection, relation, clipped);
    clipped.forEach(({ index }, at) => {
      summaries[index] = new Map([...(summaries[index] ?? []), ...(second[at] ?? [])]);
    });
  }
  return {
    rows: all?.get('n') ?? 0,
    numbers: tasks.map((task, index) => fitted(task, summaries[index] ?? new Map())),
    counts: rest.slice(tasks.length).map((counted) => counted.get('n') ?? 0),
  };
}

const MOMENTS = { min: 'min($)', max: 'max($)', mean: 'avg($)', deviation: 'stddev_pop($)' } as const;
/** Those of the clipped values, beside those of all: a missing value is replaced by the mean of all. */
const CLIPPED_MOMENTS = { clippedMean: 'avg($)', clippedDeviation: 'stddev_pop($)' } as const;

function firstAggregates(task: NumberTask): Record<string, string> {
  return {
    n: 'count($)',
    ...MOMENTS,
    ...(task.impute === 'median' ? { median: 'quantile_cont($, 0.5)' } : {}),
    ...(task.clip
      ? { low: `quantile_cont($, ${task.clip[0]})`, high: `quantile_cont($, ${task.clip[1]})` }
      : {}),
  };
}

/** One row of aggregates over several expressions; `$` in an aggregate stands for its expression. */
async function aggregates(
  connection: DuckDBConnection,
  relation: string,
  columns: readonly { sql: string; aggregates: Readonly<Record<string, string>> }[],
): Promise<Summary[]> {
  const inner = columns.map(({ sql }, index) => `${sql} AS x${index}`);
  const outer = columns.flatMap((column, index) =>
    Object.values(column.aggregates).map(
      (aggregate) => `CAST(${aggregate.replace('$', `x${index}`)} AS DOUBLE)`,
    ),
  );
  const reader = await connection
    .runAndReadAll(`SELECT ${outer.join(', ')} FROM (SELECT ${inner.join(', ')} FROM ${relation}) AS inputs`)
    .catch(refused('StageFailed', 'statistics of the numbers'));
  const [values = []] = reader.getRowsJS();
  let at = 0;
  return columns.map((column) => {
    const found = new Map<string, number>();
    for (const name of Object.keys(column.aggregates)) {
      const value = values[at++];
      if (typeof value === 'number') found.set(name, value);
    }
    return found;
  });
}

function fitted(task: NumberTask, summary: Summary): NumberStatistics {
  const present = summary.get('n') ?? 0;
  const statistic = (name: string) => float32(summary.get(name) ?? 0);
  const min = summary.get('low') ?? summary.get('min') ?? 0;
  const max = summary.get('high') ?? summary.get('max') ?? 0;
  if (present === 0 || float32(min) === float32(max)) return { present };
  const [offset, scale] =
    task.scale === 'standard'
      ? task.clip
        ? [statistic('clippedMean'), statistic('clippedDeviation')]
        : [statistic('mean'), statistic('deviation')]
      : task.scale === 'minmax'
        ? [float32(min), float32(max - min)]
        : [0, 1];
  const fill =
    typeof task.impute === 'number'
      ? float32(task.impute)
      : task.impute === 'mode'
        ? Number(statistic('mean') >= 0.5)
        : statistic(task.impute);
  return {
    present,
    value: {
      fill,
      ...(task.clip ? { low: float32(min), high: float32(max) } : {}),
      offset,
      // Values so close that their spread is no float32 stay unscaled.
      scale: scale === 0 ? 1 : scale,
    },
  };
}

const float32 = (value: number): number => Math.fround(Math.max(-MAX_FLOAT32, Math.min(MAX_FLOAT32, value)));

import type { DuckDBConnection } from '@duckdb/node-api';
import { refused } from '../duckdb/database.ts';
import type { FittedNumber } from './feature-plan.ts';

/** A number to be summarised: an SQL expression over the relation (NULL = missing) and what is to be learned. */
export interface NumberTask {
  sql: string;
  /** How a missing value is replaced; a number stands for itself. `none`: not at all, where there are missing ones. */
  impute: 'median' | 'mean' | 'mode' | 'none' | number;
  scale: 'standard' | 'robust' | 'minmax' | 'none';
  clip?: readonly [number, number] | undefined;
  log?: boolean;
  bins?: { count: number; encoding: 'ordinal' | 'onehot' } | undefined;
}

/** What was learned. `value` is left out where all values are the same (or there are none). */
export interface NumberStatistics {
  present: number;
  value?: FittedNumber;
}

/** Statistics by name (`n`, `min`, `mean`, `q0.5`, …); an absent one was not asked for, or there was no value. */
type Summary = ReadonlyMap<string, number>;

/** An SQL expression and what is wanted of it; `$` in an aggregate stands for the expression. */
interface Wanted {
  sql: string;
  aggregates: Readonly<Record<string, string>>;
  quantiles?: readonly number[];
}

const MAX_FLOAT32 = 3.4028234663852886e38;

/**
 * Summarises numbers over a relation in one scan, and in a second one where some are clipped or logarithms are taken
 * (the scale is that of the values that come out). Quantiles are exact and interpolated, the deviation is the
 * population's. Statistics are rounded to float32, which also hides that a parallel sum has other last digits each
 * time.
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
  const [all, ...rest] = await aggregates(connection, relation, [
    { sql: '0', aggregates: { n: 'count(*)' } },
    ...tasks.map((task) => ({ sql: `CAST(${task.sql} AS DOUBLE)`, ...ofRawValues(task) })),
    ...others.map((sql) => ({ sql, aggregates: { n: 'count($)' } })),
  ]);
  const rows = all?.get('n') ?? 0;
  const raw = rest.slice(0, tasks.length);
  const changed = await changedSummaries(connection, relation, tasks, raw);
  return {
    rows,
    numbers: tasks.map((task, index) => {
      const summary = raw[index] ?? new Map();
      return fitted(task, summary, changed.get(index) ?? summary, rows);
    }),
    counts: rest.slice(tasks.length).map((counted) => counted.get('n') ?? 0),
  };
}

/** Whether the scale is that of other values than the raw ones. */
const changes = ({ clip, log, bins }: NumberTask): boolean => !bins && (clip !== undefined || log === true);

/** Summaries of the clipped values, or of their logarithms, by the task's place. */
async function changedSummaries(
  connection: DuckDBConnection,
  relation: string,
  tasks: readonly NumberTask[],
  raw: readonly Summary[],
): Promise<Map<number, Summary>> {
  const wanted = tasks.flatMap((task, index) => {
    const summary = raw[index];
    if (!changes(task) || !summary || (summary.get('n') ?? 0) === 0) return [];
    const value = `CAST(${task.sql} AS DOUBLE)`;
    const [low, high] = (task.clip ?? []).map((share) => summary.get(quantileName(share)));
    // DuckDB's greatest and least pass over NULL: a missing value would become a bound.
    const clipped =
      low === undefined || high === undefined
        ? value
        : `CASE WHEN ${value} IS NOT NULL THEN greatest(least(${value}, ${high}), ${low}) END`;
    return [{ index, sql: task.log ? logSql(clipped) : clipped, ...ofScaledValues(task) }];
  });
  const found = wanted.length > 0 ? await aggregates(connection, relation, wanted) : [];
  return new Map(wanted.map(({ index }, at) => [index, found[at] ?? new Map()]));
}

const logSql = (value: string): string => `sign(${value}) * ln(1 + abs(${value}))`;

const quantileName = (share: number): string => `q${share}`;
const QUARTILES = [0.25, 0.5, 0.75];
const binShares = (count: number): number[] =>
  Array.from({ length: count - 1 }, (_, index) => (index + 1) / count);

function ofRawValues(task: NumberTask): Omit<Wanted, 'sql'> {
  const { impute, clip, bins } = task;
  const own = !changes(task) && !bins ? ofScaledValues(task) : undefined;
  return {
    aggregates: {
      n: 'count($)',
      min: 'min($)',
      max: 'max($)',
      ...(typeof impute === 'number' || impute === 'median' ? {} : { mean: 'avg($)' }),
      ...own?.aggregates,
    },
    quantiles: [
      ...(impute === 'median' ? [0.5] : []),
      ...(clip ?? []),
      ...(bins ? binShares(bins.count) : []),
      ...(own?.quantiles ?? []),
    ],
  };
}

/** What a scale needs to know of the values that it scales. */
function ofScaledValues({ scale }: NumberTask): Omit<Wanted, 'sql'> {
  switch (scale) {
    case 'standard':
      return { aggregates: { mean: 'avg($)', deviation: 'stddev_pop($)' } };
    case 'robust':
      return { aggregates: {}, quantiles: QUARTILES };
    case 'minmax':
      return { aggregates: { min: 'min($)', max: 'max($)' } };
    case 'none':
      return { aggregates: {} };
  }
}

/** One row of aggregates over several expressions. */
async function aggregates(
  connection: DuckDBConnection,
  relation: string,
  columns: readonly Wanted[],
): Promise<Summary[]> {
  const asked = columns.filter((column) => !isEmpty(column));
  if (asked.length === 0) return columns.map(() => new Map());
  const inner = asked.map(({ sql }, index) => `${sql} AS x${index}`);
  const outer = asked.flatMap((column, index) => [
    ...Object.values(column.aggregates).map(
      (aggregate) => `CAST(${aggregate.replace('$', `x${index}`)} AS DOUBLE)`,
    ),
    // All quantiles of an expression come from one ordering of it.
    ...(column.quantiles?.length
      ? [`quantile_cont(x${index}, [${unique(column.quantiles).join(', ')}])`]
      : []),
  ]);
  const reader = await connection
    .runAndReadAll(`SELECT ${outer.join(', ')} FROM (SELECT ${inner.join(', ')} FROM ${relation}) AS inputs`)
    .catch(refused('StageFailed', 'statistics of the numbers'));
  const [values = []] = reader.getRowsJS();
  let at = 0;
  return columns.map((column) => {
    const found = new Map<string, number>();
    if (isEmpty(column)) return found;
    for (const name of Object.keys(column.aggregates)) {
      const value = values[at++];
      if (typeof value === 'number') found.set(name, value);
    }
    if (column.quantiles?.length) {
      const list = values[at++];
      unique(column.quantiles).forEach((share, index) => {
        const value: unknown = Array.isArray(list) ? list[index] : undefined;
        if (typeof value === 'number') found.set(quantileName(share), value);
      });
    }
    return found;
  });
}

const isEmpty = ({ aggregates, quantiles }: Wanted): boolean =>
  Object.keys(aggregates).length === 0 && !quantiles?.length;

const unique = (list: readonly number[]): number[] => [...new Set(list)];

/** @param raw of the values themselves, @param scaled of the values that are scaled */
function fitted(task: NumberTask, raw: Summary, scaled: Summary, rows: number): NumberStatistics {
  const present = raw.get('n') ?? 0;
  const of = (summary: Summary, name: string) => float32(summary.get(name) ?? 0);
  const min = of(raw, task.clip ? quantileName(task.clip[0]) : 'min');
  const max = of(raw, task.clip ? quantileName(task.clip[1]) : 'max');
  if (present === 0 || min === max) return { present };
  const bins = task.bins && {
    edges: binEdges(task.bins.count, raw, min, max),
    encoding: task.bins.encoding,
  };
  const [offset, scale] = bins ? [0, 1] : offsetAndScale(task, scaled);
  return {
    present,
    value: {
      fill: fillOf(task.impute, raw, present < rows),
      ...(task.clip ? { low: min, high: max } : {}),
      log: task.log === true && !bins,
      offset,
      // Values so close that their spread is no float32 stay unscaled.
      scale: scale === 0 ? 1 : scale,
      ...(bins ? { bins } : {}),
    },
  };
}

/**
 * What stands for a missing value. A model that never saw one cannot have learned what it means: where none was
 * missing in training, `none` is the mean.
 */
function fillOf(impute: NumberTask['impute'], raw: Summary, anyMissing: boolean): number | null {
  if (typeof impute === 'number') return float32(impute);
  const mean = float32(raw.get('mean') ?? 0);
  switch (impute) {
    case 'median':
      return float32(raw.get(quantileName(0.5)) ?? 0);
    case 'mean':
      return mean;
    case 'mode':
      return Number(mean >= 0.5);
    case 'none':
      return anyMissing ? null : mean;
  }
}

/** Different edges above the least value: every bin has training rows. */
function binEdges(count: number, raw: Summary, min: number, max: number): number[] {
  const edges = binShares(count).map((share) =>
    Math.min(max, Math.max(min, float32(raw.get(quantileName(share)) ?? 0))),
  );
  const found = unique(edges).filter((edge) => edge > min);
  // More than half of the rows may hold the least value: then all others are one bin.
  return found.length > 0 ? found : [max];
}

function offsetAndScale({ scale }: NumberTask, summary: Summary): [number, number] {
  const of = (name: string) => summary.get(name) ?? 0;
  switch (scale) {
    case 'standard':
      return [float32(of('mean')), float32(of('deviation'))];
    case 'robust':
      return [float32(of('q0.5')), float32(of('q0.75') - of('q0.25'))];
    case 'minmax':
      return [float32(of('min')), float32(of('max') - of('min'))];
    case 'none':
      return [0, 1];
  }
}

const float32 = (value: number): number => Math.fround(Math.max(-MAX_FLOAT32, Math.min(MAX_FLOAT32, value)));

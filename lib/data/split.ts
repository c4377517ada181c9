import { durationMs } from '../../contracts/durations.ts';
import { PerennialError } from '../../contracts/errors.ts';
import { MEDIA_TYPES, type TableRef } from '../../contracts/refs.ts';
import type { PipelineSpec } from '../../contracts/spec/pipeline.ts';
import { momentMs } from '../../contracts/spec/split.ts';
import type { SplitOutput } from '../../contracts/stages.ts';
import type { Database } from '../duckdb/database.ts';
import { placeBound, placeSql } from '../duckdb/row-place.ts';
import { quoteIdent, quoteLiteral } from '../duckdb/sql.ts';
import type { ArtifactStore } from '../store/artifact-store.ts';
import { missingColumn } from './missing-column.ts';

const PARTS = ['train', 'validation', 'test'] as const;
type Part = (typeof PARTS)[number];
type SplitTask = Pick<PipelineSpec, 'task' | 'columns' | 'split'>;

/** The condition of each part. */
function conditions(spec: SplitTask, table: TableRef): Record<Part, string> {
  const { split } = spec;
  if (split.method === 'time') return timeConditions(split, spec.columns.timestamp ?? '', table);
  const place = placeSql(placeKeys(spec, table), split.seed === undefined ? '' : `seed ${split.seed}`);
  const validation = placeBound(1 - split.test - split.validation);
  const test = placeBound(1 - split.test);
  return {
    train: `${place} < ${validation}`,
    validation: `${place} >= ${validation} AND ${place} < ${test}`,
    test: `${place} >= ${test}`,
  };
}

function timeConditions(
  split: Extract<SplitTask['split'], { method: 'time' }>,
  name: string,
  table: TableRef,
): Record<Part, string> {
  requireColumns('columns.timestamp', [name], table);
  const gap = split.gap === undefined ? 0 : durationMs(split.gap);
  const moment = (text: string, later = 0): string =>
    `CAST(${quoteLiteral(new Date(momentMs(text) + later).toISOString())} AS TIMESTAMPTZ)`;
  const column = `CAST(${quoteIdent(name)} AS TIMESTAMPTZ)`;
  const between = (from: string | undefined, before: string | undefined): string =>
    [...(from ? [`${column} >= ${from}`] : []), ...(before ? [`${column} < ${moment(before)}`] : [])].join(
      ' AND ',
    );
  return {
    train: between(split.train.from && moment(split.train.from), split.train.before),
    validation: between(moment(split.train.before, gap), split.validation.before),
    test: between(moment(split.validation.before, gap), split.test.before),
  };
}

/**
 * The columns whose hash is a row's place: the group, or the entity, or the whole row.
 *
 * @throws PerennialError `ColumnMissing`
 */
export function placeKeys(
  { split, columns }: Pick<SplitTask, 'split' | 'columns'>,
  table: Pick<TableRef, 'columns'>,
): string[] {
  if (split.method === 'group') return requireColumns('split.by', split.by, table);
  if (columns.entity.length > 0) return requireColumns('columns.entity', columns.entity, table);
  return table.columns.map(({ name }) => name);
}

/** @throws PerennialError `ColumnMissing` with the nearest right word */
export function requireColumns(
  where: string,
  names: readonly string[],
  table: Pick<TableRef, 'columns'>,
): string[] {
  const known = table.columns.map(({ name }) => name);
  for (const name of names) if (!known.includes(name)) throw missingColumn(where, name, known);
  return [...names];
}

/**
 * Splits a table and learns from the training part what the classes are and what a trivial baseline predicts.
 *
 * Every row is placed by itself (by its time, or the hash of its key): no other row can move it, so that it stays where
 * it is when data grow.
 *
 * @throws PerennialError `ColumnMissing`, `ColumnInvalid`, `SplitEmpty`
 */
export async function splitTable(
  database: Database,
  relation: string,
  table: TableRef,
  spec: SplitTask,
  store: ArtifactStore,
  scratchDir: string,
): Promise<Omit<SplitOutput, 'sensitive' | 'overlap' | 'cache'>> {
  const { target } = spec.columns;
  requireColumns('columns.target', [target], table);
  const where = conditions(spec, table);
  const strata =
    spec.split.method === 'stratified'
      ? requireColumns('split.by', spec.split.by ?? [target], table)
      : undefined;
  const pathOf = (part: Part): string => `${scratchDir}/${part}.parquet`;
  const counts = { train: 0, validation: 0, test: 0 };
  for (const part of PARTS) {
    counts[part] = await database.copyToParquet(
      `SELECT * FROM ${relation} WHERE ${where[part]}`,
      pathOf(part),
      'ColumnInvalid',
      `split, part ${part}`,
    );
    if (counts[part] === 0)
      throw new PerennialError(
        'SplitEmpty',
        `split: part ${part} has no rows; look at the split's bounds and the data's time range`,
      );
  }
  // The parts that were written, with the columns that are asked for: whole rows are read and hashed once for each part.
  const parts = (columns: readonly string[]): string =>
    `(${PARTS.map((part, index) => `SELECT ${columns.map(quoteIdent).join(', ')}, ${index} AS ${PART} FROM read_parquet(${quoteLiteral(pathOf(part))})`).join(' UNION ALL ')})`;
  const learned =
    spec.task === 'regression'
      ? await learnMean(database, parts([target]), target)
      : await learnClasses(database, parts([target]), spec);
  const balance = strata && (await strataOf(database, parts([...new Set(strata)]), strata, spec.split));
  const stored = async (part: Part): Promise<SplitOutput[Part]> => ({
    artifact: await store.putFile(pathOf(part), MEDIA_TYPES.parquet),
    rows: counts[part],
  });
  return {
    columns: table.columns,
    train: await stored('train'),
    validation: await stored('validation'),
    test: await stored('test'),
    unused: table.rows - counts.train - counts.validation - counts.test,
    ...(balance ? { strata: balance } : {}),
    ...learned,
  };
}

/** The column that says which part a row is in; no column of people's data has this name. */
const PART = quoteIdent('perennial part\u001f');

/** How many rows of a part a query's group has. */
const rowsOf = (part: Part): string => `count(*) FILTER (WHERE ${PART} = ${PARTS.indexOf(part)})`;

/** Strata below this size are off by chance alone. */
const LARGE_STRATUM = 1_000;

async function strataOf(
  database: Database,
  parts: string,
  columns: readonly string[],
  split: SplitTask['split'],
): Promise<SplitOutput['strata']> {
  if (split.method === 'time') return undefined;
  const wanted = { train: 1 - split.validation - split.test, validation: split.validation, test: split.test };
  const off = PARTS.map(
    (part) => `abs(${part}_rows / (train_rows + validation_rows + test_rows) - ${wanted[part]})`,
  );
  const row = await database.row(
    `SELECT count(*) AS strata, count(*) FILTER (WHERE ${PARTS.map((part) => `${part}_rows = 0`).join(' OR ')}) AS incomplete,
       coalesce(max(greatest(${off.join(', ')})) FILTER (WHERE train_rows + validation_rows + test_rows >= ${LARGE_STRATUM}), 0) AS deviation
     FROM (SELECT ${PARTS.map((part) => `${rowsOf(part)} AS ${part}_rows`).join(', ')} FROM ${parts} GROUP BY ${columns.map(quoteIdent).join(', ')})`,
  );
  return {
    count: Number(row.strata),
    incomplete: Number(row.incomplete),
    largestDeviation: Number(row.deviation),
  };
}

type Learned = Pick<SplitOutput, 'classNames' | 'positiveClass' | 'baseline'>;

async function learnMean(database: Database, parts: string, target: string): Promise<Learned> {
  const row = await database.row(
    `SELECT avg(CAST(${quoteIdent(target)} AS DOUBLE)) AS mean FROM ${parts} WHERE ${PART} = 0`,
    'ColumnInvalid',
    `columns.target ${target} of a regression`,
  );
  return { classNames: [], positiveClass: null, baseline: { classShares: [], mean: Number(row.mean) } };
}

async function learnClasses(database: Database, parts: string, spec: SplitTask): Promise<Learned> {
  const target = quoteIdent(spec.columns.target);
  const counts = await database.rows(
    // Qualified: the target may be called like one of the counts.
    `SELECT CAST(parts.${target} AS VARCHAR) AS class, ${PARTS.map((part) => `${rowsOf(part)} AS ${part}`).join(', ')} FROM ${parts} AS parts GROUP BY parts.${target} ORDER BY parts.${target}`,
  );
  const unseen = counts.filter((row) => Number(row.train) === 0).map((row) => String(row.class));
  if (unseen.length > 0)
    throw new PerennialError(
      'SplitEmpty',
      `split: ${unseen.length} class(es) of ${spec.columns.target} occur only outside of the training part; widen it`,
    );
  const classNames = counts.map((row) => String(row.class));
  if (classNames.length < 2)
    throw new PerennialError(
      'SplitEmpty',
      `split: the training part has only one class of ${spec.columns.target}; there is nothing to learn`,
    );
  if (spec.task === 'binary' && classNames.length !== 2)
    throw new PerennialError(
      'ColumnInvalid',
      `columns.target: ${spec.columns.target} has ${classNames.length} classes, task binary needs 2; use task multiclass${classNames.length > 50 ? ' or regression' : ''}`,
    );
  if (classNames.length > 1000)
    throw new PerennialError(
      'ColumnInvalid',
      `columns.target: ${spec.columns.target} has ${classNames.length} classes, at most 1000 are supported; use task regression`,
    );
  for (const part of PARTS)
    if (counts.filter((row) => Number(row[part]) > 0).length < 2)
      throw new PerennialError(
        'SplitEmpty',
        `split: part ${part} has only one class of ${spec.columns.target}; it cannot judge a model`,
      );
  const positiveClass = spec.task === 'binary' ? (spec.columns.positive ?? classNames[1] ?? null) : null;
  if (positiveClass !== null && !classNames.includes(positiveClass))
    throw new PerennialError(
      'ColumnInvalid',
      `columns.positive: ${positiveClass} is not a class of ${spec.columns.target}; the classes are ${classNames.join(', ')}`,
    );
  const total = counts.reduce((sum, row) => sum + Number(row.train), 0);
  return {
    classNames,
    positiveClass,
    baseline: { classShares: counts.map((row) => Number(row.train) / total), mean: null },
  };
}

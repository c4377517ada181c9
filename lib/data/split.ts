import { PerennialError } from '../../contracts/errors.ts';
import { MEDIA_TYPES, type TableRef } from '../../contracts/refs.ts';
import type { PipelineSpec } from '../../contracts/spec/pipeline.ts';
import type { SplitOutput } from '../../contracts/stages.ts';
import type { Database } from '../duckdb/database.ts';
import { quoteIdent, quoteLiteral } from '../duckdb/sql.ts';
import type { ArtifactStore } from '../store/artifact-store.ts';
import { missingColumn } from './snapshot.ts';

const PARTS = ['train', 'validation', 'test'] as const;
type Part = (typeof PARTS)[number];
type SplitTask = Pick<PipelineSpec, 'task' | 'columns' | 'split'>;

/** The condition of each part. */
function conditions(spec: SplitTask, table: TableRef): Record<Part, string> {
  const known = table.columns.map((column) => column.name);
  const { split } = spec;
  if (split.method === 'time') {
    const name = spec.columns.timestamp ?? '';
    if (!known.includes(name)) throw missingColumn('columns.timestamp', name, known);
    const moment = (text: string): string => `CAST(${quoteLiteral(text)} AS TIMESTAMPTZ)`;
    const column = `CAST(${quoteIdent(name)} AS TIMESTAMPTZ)`;
    const between = (from: string | undefined, before: string | undefined): string =>
      [
        ...(from ? [`${column} >= ${moment(from)}`] : []),
        ...(before ? [`${column} < ${moment(before)}`] : []),
      ].join(' AND ');
    return {
      train: between(split.train.from, split.train.before),
      validation: between(split.train.before, split.validation.before),
      test: between(split.validation.before, split.test.before),
    };
  }
  // MD5 of the entity: the same row falls into the same part whatever else is in the data, on any version of DuckDB.
  const keys = spec.columns.entity.length > 0 ? spec.columns.entity : known;
  for (const key of keys) if (!known.includes(key)) throw missingColumn('columns.entity', key, known);
  const text = keys.map((key) => `coalesce(CAST(${quoteIdent(key)} AS VARCHAR), chr(0))`).join(', ');
  const place = `(md5_number_lower(concat_ws(chr(31), ${text})) % 1000000) / 1000000.0`;
  const validationFrom = 1 - split.test - split.validation;
  return {
    train: `${place} < ${validationFrom}`,
    validation: `${place} >= ${validationFrom} AND ${place} < ${1 - split.test}`,
    test: `${place} >= ${1 - split.test}`,
  };
}

/**
 * Splits a table and learns from the training part what the classes are and what a trivial baseline predicts.
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
): Promise<SplitOutput> {
  const known = table.columns.map((column) => column.name);
  const { target } = spec.columns;
  if (!known.includes(target)) throw missingColumn('columns.target', target, known);
  const where = conditions(spec, table);
  const write = async (part: Part): Promise<SplitOutput[Part]> => {
    const path = `${scratchDir}/${part}.parquet`;
    const rows = await database.copyToParquet(
      `SELECT * FROM ${relation} WHERE ${where[part]}`,
      path,
      'ColumnInvalid',
      `split, part ${part}`,
    );
    if (rows === 0)
      throw new PerennialError(
        'SplitEmpty',
        `split: part ${part} has no rows; look at the split's bounds and the data's time range`,
      );
    return { artifact: await store.putFile(path, MEDIA_TYPES.parquet), rows };
  };
  const train = await write('train');
  const validation = await write('validation');
  const test = await write('test');
  const learned =
    spec.task === 'regression'
      ? await learnMean(database, relation, where.train, target)
      : await learnClasses(database, relation, where, spec);
  return {
    columns: table.columns,
    train,
    validation,
    test,
    unused: table.rows - train.rows - validation.rows - test.rows,
    ...learned,
  };
}

type Learned = Pick<SplitOutput, 'classNames' | 'positiveClass' | 'baseline'>;

async function learnMean(
  database: Database,
  relation: string,
  train: string,
  target: string,
): Promise<Learned> {
  const row = await database.row(
    `SELECT avg(CAST(${quoteIdent(target)} AS DOUBLE)) AS mean FROM ${relation} WHERE ${train}`,
    'ColumnInvalid',
    `columns.target ${target} of a regression`,
  );
  return { classNames: [], positiveClass: null, baseline: { classShares: [], mean: Number(row.mean) } };
}

async function learnClasses(
  database: Database,
  relation: string,
  where: Record<Part, string>,
  spec: SplitTask,
): Promise<Learned> {
  const target = quoteIdent(spec.columns.target);
  const counts = await database.rows(
    `SELECT CAST(${target} AS VARCHAR) AS class, ${PARTS.map((part) => `count(*) FILTER (WHERE ${where[part]}) AS ${part}`).join(', ')} FROM ${relation} GROUP BY ${target} ORDER BY ${target}`,
  );
  const present = counts.filter((row) => PARTS.some((part) => Number(row[part]) > 0));
  const unseen = present.filter((row) => Number(row.train) === 0).map((row) => String(row.class));
  if (unseen.length > 0)
    throw new PerennialError(
      'SplitEmpty',
      `split: ${unseen.length} class(es) of ${spec.columns.target} occur only outside of the training part; widen it`,
    );
  const classNames = present.map((row) => String(row.class));
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
    if (present.filter((row) => Number(row[part]) > 0).length < 2)
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
  const total = present.reduce((sum, row) => sum + Number(row.train), 0);
  return {
    classNames,
    positiveClass,
    baseline: { classShares: present.map((row) => Number(row.train) / total), mean: null },
  };
}

import { durationMs } from '../../contracts/durations.ts';
import { PerennialError } from '../../contracts/errors.ts';
import type { TableRef } from '../../contracts/refs.ts';
import type { PipelineSpec } from '../../contracts/spec/pipeline.ts';
import type { CrossValidationSpec } from '../../contracts/spec/training.ts';
import type { Database } from '../duckdb/database.ts';
import { foldSql, placeSql } from '../duckdb/row-place.ts';
import { quoteIdent } from '../duckdb/sql.ts';
import { placeKeys, requireColumns } from './split.ts';

/** What the folds hang on. */
export type FoldTask = Pick<PipelineSpec, 'task' | 'columns' | 'split'> & {
  crossValidation: CrossValidationSpec;
};

/** Columns of our own; none of people's data has these names. */
const KEY = quoteIdent('perennial fold\u001f');
const UNIT = quoteIdent('perennial unit\u001f');
const UNITS = quoteIdent('perennial units');

/** Other places than those of the split and of the folds of target encoding, which would leave some folds empty. */
const SALT = 'cross-validation';

/** How the rows of a table fall into folds. */
export interface Folding {
  /** The table with columns of our own. */
  relation: string;
  own: readonly string[];
  /** The one that rows are sorted by, so that those that a fold is judged on stand together; NULL in rows of no fold. */
  key: string;
  /** SQL of which rows each fold trains on, and which it is judged on. */
  folds: { train: string; validation: string }[];
  notes: string[];
}

/**
 * Says into which fold each row falls; see `writeFolds`.
 *
 * @param relation SQL that may stand after FROM
 * @throws PerennialError `ColumnMissing`, `ColumnInvalid`, `SplitEmpty`
 */
export async function foldingOf(
  database: Database,
  relation: string,
  columns: TableRef['columns'],
  spec: FoldTask,
): Promise<Folding> {
  const { crossValidation: how } = spec;
  const where = 'training.crossValidation.by';
  switch (how.method) {
    case 'kfold':
      return {
        relation: `(SELECT *, ${foldSql(placeKeys(spec, { columns }), SALT, how.folds)} AS ${KEY} FROM ${relation})`,
        own: [KEY],
        key: KEY,
        folds: keyedFolds(how.folds),
        notes: [],
      };
    case 'group':
      return dealt(database, relation, {
        folds: how.folds,
        units: requireColumns(where, how.by, { columns }),
        word: 'groups',
      });
    case 'stratified':
      return dealt(database, relation, {
        folds: how.folds,
        units: placeKeys(spec, { columns }),
        strata: requireColumns(where, how.by ?? [spec.columns.target], { columns }),
        word: spec.split.method === 'group' ? 'groups' : spec.columns.entity.length > 0 ? 'entities' : 'rows',
      });
    case 'time':
      return inTime(database, relation, columns, spec.columns.timestamp ?? '', how);
  }
}

const keyedFolds = (count: number): Folding['folds'] =>
  Array.from({ length: count }, (_, fold) => ({
    train: `${KEY} <> ${fold}`,
    validation: `${KEY} = ${fold}`,
  }));

interface Deal {
  folds: number;
  /** The columns whose values keep rows together. */
  units: readonly string[];
  /** The columns whose values are the strata. */
  strata?: readonly string[];
  /** What units are called. */
  word: string;
}

/**
 * Deals units out, one fold after the other: stratum by stratum, in each from the largest unit on, those of one size by
 * their hash. A unit belongs to the stratum that most of its rows are in.
 */
async function dealt(
  database: Database,
  relation: string,
  { folds, units, strata, word }: Deal,
): Promise<Folding> {
  const unit = placeSql(units, SALT);
  const stratum = strata ? placeSql(strata, '') : "''";
  await database.run(
    `CREATE OR REPLACE TEMP TABLE ${UNITS} AS
     SELECT unit, CAST((row_number() OVER (ORDER BY stratum, rows DESC, unit) - 1) % ${folds} AS INTEGER) AS fold
     FROM (SELECT unit, sum(rows) AS rows, max({rows: rows, stratum: stratum}).stratum AS stratum
       FROM (SELECT unit, stratum, count(*) AS rows FROM (SELECT ${unit} AS unit, ${stratum} AS stratum FROM ${relation}) GROUP BY unit, stratum)
       GROUP BY unit)`,
    'ColumnInvalid',
    'training.crossValidation',
  );
  const { count } = await database.row(`SELECT count(*) AS count FROM ${UNITS}`);
  if (Number(count) < folds)
    throw new PerennialError(
      'SplitEmpty',
      `training.crossValidation: ${folds} folds need at least ${folds} ${word}, the training and the validation part have ${Number(count)}; use fewer folds`,
    );
  return {
    relation: `(SELECT placed.*, units.fold AS ${KEY} FROM (SELECT *, ${unit} AS ${UNIT} FROM ${relation}) AS placed JOIN ${UNITS} AS units ON placed.${UNIT} = units.unit)`,
    own: [KEY, UNIT],
    key: KEY,
    folds: keyedFolds(folds),
    notes: strata ? await strataNotes(database, relation, stratum, folds) : [],
  };
}

/** What was needed to deal rows out is no longer. */
export const forgetUnits = (database: Database): Promise<void> =>
  database.run(`DROP TABLE IF EXISTS ${UNITS}`);

/** @throws PerennialError `SplitEmpty` where no stratum has a row for each fold, as scikit-learn's `StratifiedKFold` */
async function strataNotes(
  database: Database,
  relation: string,
  stratum: string,
  folds: number,
): Promise<string[]> {
  const { small, largest } = await database.row(
    `SELECT count(*) FILTER (rows < ${folds}) AS small, max(rows) AS largest
     FROM (SELECT count(*) AS rows FROM (SELECT ${stratum} AS stratum FROM ${relation}) GROUP BY stratum)`,
  );
  if (Number(largest) < folds)
    throw new PerennialError(
      'SplitEmpty',
      `training.crossValidation: no stratum has a row for each of ${folds} folds, the largest one has ${Number(largest)}; use fewer folds, or other columns in by`,
    );
  return Number(small) > 0
    ? [
        `${Number(small)} strata have fewer rows than there are folds (${folds}): some folds have none of them.`,
      ]
    : [];
}

/** Blocks of equal rows in time. */
async function inTime(
  database: Database,
  relation: string,
  columns: TableRef['columns'],
  timestamp: string,
  { folds, gap }: Extract<CrossValidationSpec, { method: 'time' }>,
): Promise<Folding> {
  requireColumns('columns.timestamp', [timestamp], { columns });
  const what = `columns.timestamp ${timestamp}`;
  const keyed = `(SELECT *, epoch_us(CAST(${quoteIdent(timestamp)} AS TIMESTAMPTZ)) AS ${KEY} FROM ${relation})`;
  const counted = await database.row(
    `SELECT count(*) AS rows, count(${KEY}) AS known FROM ${keyed}`,
    'ColumnInvalid',
    what,
  );
  const [rows, known] = [Number(counted.rows), Number(counted.known)];
  if (known <= folds)
    throw new PerennialError(
      'SplitEmpty',
      `training.crossValidation: ${folds} folds in time need at least ${folds + 1} rows with a timestamp, the training and the validation part have ${known}; use fewer folds`,
    );
  const size = Math.floor(known / (folds + 1));
  const before = Array.from({ length: folds }, (_, fold) => known - (folds - fold) * size);
  const starts = await database.row(
    // As text: microseconds of far years are no exact numbers in JavaScript.
    `SELECT ${before.map((count, fold) => `CAST(min(moment) FILTER (until > ${count}) AS VARCHAR) AS start_${fold}`).join(', ')}
     FROM (SELECT moment, sum(rows) OVER (ORDER BY moment) AS until
       FROM (SELECT ${KEY} AS moment, count(*) AS rows FROM ${keyed} WHERE ${KEY} IS NOT NULL GROUP BY ${KEY}))`,
  );
  const moments = before.map((_, fold) => BigInt(String(starts[`start_${fold}`])));
  const gapUs = BigInt(Math.round(gap === undefined ? 0 : durationMs(gap) * 1_000));
  return {
    relation: keyed,
    own: [KEY],
    key: KEY,
    folds: moments.map((start, fold) => {
      const next = moments[fold + 1];
      return {
        train: `${KEY} < ${start - gapUs}`,
        validation: `${KEY} >= ${start}${next === undefined ? '' : ` AND ${KEY} < ${next}`}`,
      };
    }),
    notes: known < rows ? [`${rows - known} rows without a usable ${timestamp} belong to no fold.`] : [],
  };
}

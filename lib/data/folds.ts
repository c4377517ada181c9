import type { RowRange, TableRef } from '../../contracts/refs.ts';
import type { CrossValidationSpec } from '../../contracts/spec/training.ts';
import type { Database } from '../duckdb/database.ts';
import { placeSql } from '../duckdb/row-place.ts';
import { quoteLiteral } from '../duckdb/sql.ts';
import { foldFacts } from './fold-facts.ts';
import { type FoldTask, foldingOf, forgetUnits } from './folding.ts';

/** The rows of one fold, as places in the table of all folds. */
export interface FoldRows {
  train: RowRange[];
  validation: RowRange;
}

/** What {@link writeFolds} made. */
export interface FoldedTable {
  /** Of the table that was written. */
  rows: number;
  folds: FoldRows[];
  /** What is to be known of the folds, without values. */
  notes: string[];
}

/**
 * Spreads the rows of a table over folds and writes them as Parquet, such that the rows which a fold is judged on stand
 * together. Which fold a row falls into, and the bytes of the file, depend on the rows alone, not on their order.
 *
 * - `kfold`: by the hash of the split's key (entity, group or whole row); a row never moves.
 * - `group`: whole groups are dealt out in the order of their sizes; folds differ by no more rows than the largest
 *   group has.
 * - `stratified`: what the split's key keeps together is dealt out stratum by stratum; where it is one row, each fold has
 *   its share of each stratum, and of all rows, to one row.
 * - `time`: k + 1 blocks of equal rows in time; each but the first is judged on, and trained on all before it (minus
 *   the gap). Rows of one moment stay together. scikit-learn's `TimeSeriesSplit`.
 *
 * @param relation SQL that may stand after FROM: the rows of the training and the validation part
 * @param outPath must not exist
 * @throws PerennialError `ColumnMissing`, `ColumnInvalid`; `SplitEmpty` where there are too few rows, groups or classes
 * @example
 * const { folds } = await writeFolds(database, "read_parquet(['train.parquet', 'validation.parquet'])", columns, {
 *   ...spec, crossValidation: { method: 'kfold', folds: 5 },
 * }, 'folds.parquet');
 */
export async function writeFolds(
  database: Database,
  relation: string,
  columns: TableRef['columns'],
  spec: FoldTask,
  outPath: string,
): Promise<FoldedTable> {
  const folding = await foldingOf(database, relation, columns, spec);
  const { folds, notes } = await foldFacts(database, folding, spec);
  const everything = placeSql(
    columns.map(({ name }) => name),
    '',
  );
  const rows = await database.copyToParquet(
    // Rows of the same hash are the same rows: nothing is left to the order in which they were read.
    `SELECT * EXCLUDE (${folding.own.join(', ')}) FROM ${folding.relation} AS folded WHERE ${folding.key} IS NOT NULL ORDER BY ${folding.key}, ${everything}`,
    outPath,
    'ColumnInvalid',
    'training.crossValidation',
  );
  await forgetUnits(database);
  return { rows, folds: placesOf(folds, rows, spec.crossValidation.method), notes };
}

/** SQL of rows of a Parquet file by their places, in their order. */
export const rangesSql = (path: string, ranges: readonly RowRange[]): string =>
  ranges
    .map(
      ({ from, before }) =>
        `(SELECT * FROM read_parquet(${quoteLiteral(path)}) LIMIT ${before - from} OFFSET ${from})`,
    )
    .join(' UNION ALL ');

/** What is judged on stands at the end of the table, fold after fold; in time there are rows before it. */
function placesOf(
  folds: readonly { train: number; validation: number }[],
  rows: number,
  method: CrossValidationSpec['method'],
): FoldRows[] {
  let from = rows - folds.reduce((sum, { validation }) => sum + validation, 0);
  return folds.map(({ train, validation }) => {
    const block = { from, before: from + validation };
    from = block.before;
    const others = [
      { from: 0, before: block.from },
      { from: block.before, before: rows },
    ];
    return {
      train:
        method === 'time'
          ? [{ from: 0, before: train }]
          : others.filter((range) => range.before > range.from),
      validation: block,
    };
  });
}

import { PerennialError } from '../../contracts/errors.ts';
import type { Database } from '../duckdb/database.ts';
import { quoteIdent } from '../duckdb/sql.ts';
import type { Folding, FoldTask } from './folding.ts';

/** Rows of one fold. */
interface FoldCounts {
  train: number;
  validation: number;
}

/**
 * Counts the rows of folds, and looks whether each of them can train and judge.
 *
 * @throws PerennialError `SplitEmpty` where a fold has no rows, or its training rows lack a class
 */
export async function foldFacts(
  database: Database,
  folding: Folding,
  spec: FoldTask,
): Promise<{ folds: FoldCounts[]; notes: string[] }> {
  const byClass = await countsByClass(database, folding, spec);
  const folds = folding.folds.map((_, fold) => ({
    train: byClass.reduce((sum, counts) => sum + (counts[fold]?.train ?? 0), 0),
    validation: byClass.reduce((sum, counts) => sum + (counts[fold]?.validation ?? 0), 0),
  }));
  requireRows(folds, spec);
  if (spec.task === 'regression') return { folds, notes: folding.notes };
  return { folds, notes: [...folding.notes, ...classNotes(byClass, spec)] };
}

/** For each class, in no order that matters, its rows in each fold; a regression has but one. */
async function countsByClass(
  database: Database,
  { relation, folds }: Folding,
  { task, columns }: FoldTask,
): Promise<FoldCounts[][]> {
  const target = task === 'regression' ? 'NULL' : `CAST(${quoteIdent(columns.target)} AS VARCHAR)`;
  const flags = folds.map(
    ({ train, validation }, fold) => `${train} AS train_${fold}, ${validation} AS validation_${fold}`,
  );
  const sums = folds.map(
    (_, fold) =>
      `count(*) FILTER (train_${fold}) AS train_${fold}, count(*) FILTER (validation_${fold}) AS validation_${fold}`,
  );
  const rows = await database.rows(
    `SELECT ${sums.join(', ')} FROM (SELECT ${target} AS class, ${flags.join(', ')} FROM ${relation}) AS flagged GROUP BY flagged.class`,
    'ColumnInvalid',
    'training.crossValidation',
  );
  return rows.map((row) =>
    folds.map((_, fold) => ({
      train: Number(row[`train_${fold}`]),
      validation: Number(row[`validation_${fold}`]),
    })),
  );
}

function requireRows(folds: readonly FoldCounts[], { crossValidation: how, columns }: FoldTask): void {
  for (const [index, { train, validation }] of folds.entries()) {
    const fold = `training.crossValidation: fold ${index + 1} of ${folds.length}`;
    if (validation === 0)
      throw new PerennialError(
        'SplitEmpty',
        how.method === 'time'
          ? `${fold} has no rows, since too many rows have the same ${columns.timestamp}; use fewer folds`
          : `${fold} has no rows; use fewer folds`,
      );
    if (train === 0)
      throw new PerennialError(
        'SplitEmpty',
        how.method === 'time'
          ? `${fold} has no training rows before it${how.gap === undefined ? '' : ` and the gap of ${how.gap}`}; use ${how.gap === undefined ? '' : 'a shorter gap or '}fewer folds`
          : `${fold} has no training rows; use fewer folds`,
      );
  }
}

/** @throws PerennialError as the split, where a class is never trained on */
function classNotes(byClass: readonly FoldCounts[][], { crossValidation, columns }: FoldTask): string[] {
  const { folds: count, method } = crossValidation;
  const numbers = Array.from({ length: count }, (_, fold) => fold);
  for (const fold of numbers) {
    const lacking = byClass.filter((counts) => counts[fold]?.train === 0).length;
    if (lacking > 0)
      throw new PerennialError(
        'SplitEmpty',
        `training.crossValidation: the training rows of fold ${fold + 1} of ${count} have no row of ${lacking} class(es) of ${columns.target}; use ${method === 'kfold' ? 'fewer folds or method stratified' : 'fewer folds'}, or set rare classes aside by data.rowFilter`,
      );
  }
  const rare = byClass.filter(
    (counts) => counts.reduce((sum, { validation }) => sum + validation, 0) < count,
  ).length;
  const single = numbers.filter(
    (fold) => byClass.filter((counts) => (counts[fold]?.validation ?? 0) > 0).length < 2,
  );
  return [
    ...(rare > 0
      ? [`${rare} class(es) of ${columns.target} have fewer rows than there are folds (${count}).`]
      : []),
    ...(single.length > 0
      ? [
          `Fold(s) ${single.map((fold) => fold + 1).join(', ')}: the rows that are judged have one class of ${columns.target} alone; metrics that need two are missing there.`,
        ]
      : []),
  ];
}

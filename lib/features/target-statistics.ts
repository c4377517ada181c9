import type { DuckDBConnection } from '@duckdb/node-api';
import { PerennialError } from '../../contracts/errors.ts';
import type { CategoricalOptions } from '../../contracts/spec/features.ts';
import type { Task } from '../../contracts/spec/task.ts';
import { refused } from '../duckdb/database.ts';
import { quoteIdent, quoteLiteral } from '../duckdb/sql.ts';
import { compareText, TABLE_LIMIT } from './category-statistics.ts';
import type { FittedCategories, TargetMeans } from './feature-plan.ts';

/** Columns that one target encoding makes at most. */
const MAX_CLASSES = 20;

/** What a category is encoded by: numbers of the target, and the folds of the training rows. */
export interface TargetTask {
  /** One SQL number per row and matrix column; `of` names the class where there are several. */
  numbers: readonly { of: string; sql: string }[];
  /** SQL of a row's fold, from 0 to `folds` - 1. */
  fold: string;
  folds: number;
}

/** A text column to be encoded by the target. */
export interface TargetColumn {
  name: string;
  sql: string;
  options: CategoricalOptions;
}

/** What was learned about one column, over all training rows and without each fold. */
export interface TargetEncoding {
  value: Extract<FittedCategories, { encoding: 'target' }> | undefined;
  /** For each mean of `value`, one table per fold. */
  folds: readonly (readonly TargetMeans[])[];
}

/**
 * The numbers of a target: a regression's value, 1 for a binary target's positive class, and 1 for each class of a
 * multi-class target (the 20 most frequent ones where there are more).
 */
export function targetNumbers(
  task: Task,
  column: string,
  classes: {
    classNames: readonly string[];
    positiveClass: string | null;
    baseline: { classShares: readonly number[] };
  },
): TargetTask['numbers'] {
  const name = quoteIdent(column);
  if (task === 'regression') return [{ of: '', sql: `CAST(${name} AS DOUBLE)` }];
  const is = (value: string) => `CAST(CAST(${name} AS VARCHAR) = ${quoteLiteral(value)} AS DOUBLE)`;
  if (task === 'binary') return [{ of: '', sql: is(classes.positiveClass ?? '') }];
  const share = (index: number) => classes.baseline.classShares[index] ?? 0;
  const kept = new Set(
    [...classes.classNames.keys()].sort((a, b) => share(b) - share(a) || a - b).slice(0, MAX_CLASSES),
  );
  return classes.classNames.flatMap((of, index) => (kept.has(index) ? [{ of, sql: is(of) }] : []));
}

/** Rows and sums of the target, over all folds and in each. */
class Totals {
  rows = 0;
  readonly sums: number[];
  readonly foldRows: number[];
  readonly foldSums: number[][];

  constructor(numbers: number, folds: number) {
    this.sums = new Array<number>(numbers).fill(0);
    this.foldRows = new Array<number>(folds).fill(0);
    this.foldSums = Array.from({ length: folds }, () => new Array<number>(numbers).fill(0));
  }

  add(fold: number, rows: number, sums: readonly number[]): void {
    this.rows += rows;
    this.foldRows[fold] = rows;
    this.foldSums[fold] = [...sums];
    sums.forEach((sum, index) => {
      this.sums[index] = (this.sums[index] ?? 0) + sum;
    });
  }

  /** The mean of one number, without one fold where it is given, drawn towards `prior` by `smoothing` rows of it. */
  mean(number: number, without: number | undefined, prior: number, smoothing: number): number {
    const rows = this.rows - (without === undefined ? 0 : (this.foldRows[without] ?? 0));
    const sum =
      (this.sums[number] ?? 0) - (without === undefined ? 0 : (this.foldSums[without]?.[number] ?? 0));
    // Without any row and without smoothing there is only the mean of all.
    return rows + smoothing > 0 ? (sum + smoothing * prior) / (rows + smoothing) : prior;
  }
}

/**
 * Learns target encodings of categories: `(sum of the target + m · prior) / (rows + m)` per category, with the mean
 * of all rows as prior and `m` = `smoothing`. One query per column; the values without a fold come from the same sums.
 * A category that is too rare has the prior.
 *
 * Method: D. Micci-Barreca, "A preprocessing scheme for high-cardinality categorical attributes in classification and
 * prediction problems", SIGKDD Explorations 3 (2001), with the weight of the m-estimate; out of fold as in
 * scikit-learn's `TargetEncoder`.
 *
 * @param relation SQL that may stand after FROM
 */
export async function targetEncodings(
  connection: DuckDBConnection,
  relation: string,
  columns: readonly TargetColumn[],
  target: TargetTask,
): Promise<TargetEncoding[]> {
  const found: TargetEncoding[] = [];
  for (const column of columns) found.push(await encodingOf(connection, relation, column, target));
  return found;
}

async function encodingOf(
  connection: DuckDBConnection,
  relation: string,
  { sql, options }: TargetColumn,
  { numbers, fold, folds }: TargetTask,
): Promise<TargetEncoding> {
  const sums = numbers.map((_, index) => `CAST(sum(y${index}) AS DOUBLE) AS s${index}`);
  const reader = await connection
    .runAndReadAll(
      `WITH counted AS (
        SELECT category, fold, CAST(count(*) AS DOUBLE) AS n, ${sums.join(', ')}
        FROM (SELECT ${sql} AS category, ${fold} AS fold, ${numbers.map((number, index) => `${number.sql} AS y${index}`).join(', ')} FROM ${relation}) AS inputs
        GROUP BY category, fold),
      kept AS (
        SELECT category FROM counted WHERE category IS NOT NULL GROUP BY category
        HAVING sum(n) >= ${options.minFrequency} ORDER BY sum(n) DESC, category LIMIT ${TABLE_LIMIT})
      SELECT CASE WHEN kept.category IS NOT NULL THEN 2 WHEN counted.category IS NULL THEN 1 ELSE 0 END AS kind,
        kept.category, fold, sum(n), ${numbers.map((_, index) => `sum(s${index})`).join(', ')}
      FROM counted LEFT JOIN kept USING (category) GROUP BY kind, kept.category, fold ORDER BY kind, kept.category, fold`,
    )
    .catch(refused('StageFailed', 'means of the target by category'));
  const all = new Totals(numbers.length, folds);
  const missing = new Totals(numbers.length, folds);
  const categories = new Map<string, Totals>();
  const byFold = new Map<number, { rows: number; sums: number[] }>();
  for (const [kind, category, place, n, ...rest] of reader.getRowsJS()) {
    if (typeof place !== 'number' || typeof n !== 'number')
      throw new PerennialError('StageFailed', 'The means of the target have an unexpected shape.');
    const own = rest.map((sum) => (typeof sum === 'number' ? sum : 0));
    const sofar = byFold.get(place) ?? { rows: 0, sums: own.map(() => 0) };
    byFold.set(place, {
      rows: sofar.rows + n,
      sums: own.map((sum, index) => sum + (sofar.sums[index] ?? 0)),
    });
    if (kind === 1) missing.add(place, n, own);
    if (kind !== 2 || typeof category !== 'string') continue;
    const totals = categories.get(category) ?? new Totals(numbers.length, folds);
    totals.add(place, n, own);
    categories.set(category, totals);
  }
  for (const [place, { rows, sums: own }] of byFold) all.add(place, rows, own);

  const names = [...categories.keys()].sort(compareText);
  const table = (number: number, without?: number): TargetMeans => {
    const prior = all.mean(number, without, 0, 0);
    const mean = (totals: Totals | undefined) =>
      Math.fround(totals?.mean(number, without, prior, options.smoothing) ?? prior);
    return {
      values: names.map((name) => mean(categories.get(name))),
      prior: Math.fround(prior),
      missing: missing.rows > 0 ? mean(missing) : Math.fround(prior),
    };
  };
  const means = numbers.map(({ of }, number) => ({ of, ...table(number) }));
  const rare = [...categories.values()].reduce((rest, { rows }) => rest - rows, all.rows) > missing.rows;
  const varies = means.some(
    ({ values, prior, missing: absent }) =>
      new Set([...values, ...(rare ? [prior] : []), ...(missing.rows > 0 ? [absent] : [])]).size > 1,
  );
  return {
    value: varies ? { encoding: 'target', categories: names, means } : undefined,
    folds: numbers.map((_, number) => Array.from({ length: folds }, (_, without) => table(number, without))),
  };
}

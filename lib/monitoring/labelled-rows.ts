import type { MetricValues } from '../../contracts/reports.ts';
import type { Database } from '../duckdb/database.ts';
import { quoteIdent } from '../duckdb/sql.ts';
import { trueClass } from '../predictions/row-metric-sql.ts';
import { type Problem, scoresOf } from '../statistics/judge.ts';
import type { Scores } from '../statistics/scores.ts';
import { type AskedValues, type Rows, readValues, typesOf } from './column-values.ts';
import { answerNames, type WatchedProblem } from './problem.ts';

/** Probabilities of one row add up to 1 but for this: float32 graphs round. */
const OFF = 1e-3;
const BEYOND = 1e-6;

/** Answers of rows, and the truth where it is known. */
export interface LabelledRows {
  /** All rows of the relation. */
  rows: number;
  /** Rows whose answer is none: no finite number, no probability. They are left out below. */
  invalid: number;
  /** Row-major `[n, width]`: of those with an answer. */
  answers: Float64Array;
  width: number;
  /** `[n]`: the index of the class, or the number; NaN where it is not known. */
  truth: Float64Array;
  /** Which rows of the relation these are, `[n]`. */
  places: Uint32Array;
}

/** Those of the rows whose truth is known. */
export interface KnownRows {
  answers: Float64Array;
  labels: Int32Array | Float32Array;
  places: Uint32Array;
}

/**
 * Reads answers and truth. Truth is read as `rowMetricSql` reads it: a class by its name, or by its number.
 *
 * @param source its relation has `truth_label` and `truth_value`, or neither: then no truth is known
 */
export async function readLabelled(
  database: Database,
  source: Rows,
  problem: WatchedProblem,
): Promise<LabelledRows> {
  const types = await typesOf(database, source.relation);
  const answers = answerNames(problem).map((name): AskedValues => {
    const column = source.columnOf(name);
    return { sql: types.has(column) ? `TRY_CAST(${quoteIdent(column)} AS DOUBLE)` : 'NULL', as: 'double' };
  });
  const truth: AskedValues = {
    sql: !types.has('truth_label')
      ? 'NULL'
      : problem.task === 'regression'
        ? 'truth_value'
        : `${trueClass(problem)} - 1`,
    as: 'double',
  };
  const [truths = new Float64Array(), ...columns] = (
    await readValues(database, source.relation, [truth, ...answers])
  ).map((values) => Float64Array.from(values));
  return valid(problem, truths, columns);
}

function valid(
  { task }: WatchedProblem,
  truths: Float64Array,
  columns: readonly Float64Array[],
): LabelledRows {
  const width = columns.length;
  const rows = truths.length;
  const answers = new Float64Array(rows * width);
  const truth = new Float64Array(rows);
  const places = new Uint32Array(rows);
  let kept = 0;
  for (let row = 0; row < rows; row++) {
    let [odd, sum] = [false, 0];
    for (let k = 0; k < width; k++) {
      const value = columns[k]?.[row] ?? Number.NaN;
      answers[kept * width + k] = value;
      sum += value;
      odd ||= !Number.isFinite(value) || (task !== 'regression' && (value < -BEYOND || value > 1 + BEYOND));
    }
    if (odd || (task === 'multiclass' && Math.abs(sum - 1) > OFF)) continue;
    const known = truths[row] ?? Number.NaN;
    truth[kept] = Number.isFinite(known) ? known : Number.NaN;
    places[kept] = row;
    kept++;
  }
  return {
    rows,
    invalid: rows - kept,
    width,
    answers: answers.subarray(0, kept * width),
    truth: truth.subarray(0, kept),
    places: places.subarray(0, kept),
  };
}

/** @param chosen of the rows of the relation, those that are looked at; all by default */
export function knownRows(
  { answers, truth, width, places }: LabelledRows,
  task: WatchedProblem['task'],
  chosen: (place: number) => boolean = () => true,
): KnownRows {
  const kept: number[] = [];
  for (let row = 0; row < truth.length; row++)
    if (!Number.isNaN(truth[row]) && chosen(places[row] ?? 0)) kept.push(row);
  const own = new Float64Array(kept.length * width);
  for (const [i, row] of kept.entries())
    for (let k = 0; k < width; k++) own[i * width + k] = answers[row * width + k] ?? 0;
  const labels = kept.map((row) => truth[row] ?? 0);
  return {
    answers: own,
    labels: task === 'regression' ? Float32Array.from(labels) : Int32Array.from(labels),
    places: Uint32Array.from(kept, (row) => places[row] ?? 0),
  };
}

/** The answers held against the truth; `null` where no truth is known. */
export function scoresOfKnown(problem: WatchedProblem, { answers, labels }: KnownRows): Scores | null {
  if (labels.length === 0) return null;
  const { task, classNames, positiveClass, quantile, threshold } = problem;
  const judged: Problem = {
    task,
    classNames,
    positiveClass,
    // Of the trivial predictions alone, which nobody asks for here.
    baseline: { classShares: [], mean: null },
    ...(quantile === undefined ? {} : { quantile }),
  };
  return scoresOf(judged, labels, answers, threshold);
}

/** Metrics of the rows whose truth is known; none where there are none. */
export const qualityOf = (problem: WatchedProblem, known: KnownRows): MetricValues =>
  scoresOfKnown(problem, known)?.metrics() ?? {};

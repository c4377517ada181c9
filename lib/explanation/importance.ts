import type { ColumnImportance } from '../../contracts/explanation.ts';
import { lowerIsBetter, type MetricName } from '../../contracts/spec/evaluation.ts';
import { shuffledOrder } from '../../domain/random.ts';
import type { ColumnBatch } from '../onnx/tabular-session.ts';
import { type Problem, scoresOf } from '../statistics/judge.ts';
import type { RowCounts, Scores } from '../statistics/scores.ts';
import { pickFrom, replaced } from './columns.ts';

/** Rows that are looked at apart. */
export interface Slice {
  name: string;
  /** 1 for its rows, `[n]`. */
  rows: RowCounts;
}

/** How many rows a slice has. */
export function sizeOf({ rows }: Slice): number {
  let size = 0;
  for (const count of rows) size += count;
  return size;
}

export interface ImportanceQuestion {
  problem: Problem;
  metric: MetricName;
  /** Binary: from which probability on the answer is the positive class. */
  threshold?: number | undefined;
  batch: ColumnBatch;
  labels: Int32Array | Float32Array;
  /** Columns that the model can see; all others have no importance. */
  columns: readonly string[];
  repeats: number;
  seed: number;
  slices: readonly Slice[];
  answers: (batch: ColumnBatch) => Promise<Float64Array>;
}

/** The metric on some rows, and by how much it becomes worse where a column is shuffled. */
export interface Importance {
  value: number;
  /** Columns in order of the question. */
  columns: ColumnImportance[];
}

/**
 * Permutation importance of raw columns (Breiman 2001; Fisher, Rudin and Dominici 2019, "model reliance" as a
 * difference): the values of one column are shuffled among the rows, so that it says nothing any more; what the metric
 * loses is what the model takes from it. Columns that say the same share their importance: each can stand in for the other.
 *
 * @returns first for all rows, then for each slice; nothing for one on which the metric is not defined
 */
export async function permutationImportance(
  question: ImportanceQuestion,
): Promise<(Importance | undefined)[]> {
  const { problem, metric, threshold, batch, labels, columns, repeats, seed, slices } = question;
  const scored = async (rows: ColumnBatch): Promise<Scores> =>
    scoresOf(problem, labels, await question.answers(rows), threshold);
  const sign = lowerIsBetter(metric) ? 1 : -1;
  const parts = [undefined, ...slices.map(({ rows }) => rows)];
  const valuesOf = (scores: Scores): (number | undefined)[] =>
    parts.map((rows) => scores.metrics(rows)[metric]);
  const before = valuesOf(await scored(batch));
  const losses = parts.map(() => columns.map((): number[] => []));
  for (const [index, name] of columns.entries()) {
    const column = batch.columns.get(name);
    if (!column) continue;
    for (let repeat = 0; repeat < repeats; repeat++) {
      const order = shuffledOrder(batch.rows, seed + index, repeat);
      const shuffled = replaced(batch, name, pickFrom(column, order));
      const after = valuesOf(await scored(shuffled));
      parts.forEach((_, part) => {
        const [was, is] = [before[part], after[part]];
        if (was !== undefined && is !== undefined) losses[part]?.[index]?.push(sign * (is - was));
      });
    }
  }
  return parts.map((_, part) => {
    const value = before[part];
    if (value === undefined) return undefined;
    const ofColumns = columns.map((column, index) => ({ column, ...meanAndSd(losses[part]?.[index] ?? []) }));
    return { value, columns: ofColumns };
  });
}

/** Mean and standard deviation (n - 1); of nothing 0. */
function meanAndSd(values: readonly number[]): { mean: number; sd: number } {
  if (values.length === 0) return { mean: 0, sd: 0 };
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  const squares = values.reduce((sum, value) => sum + (value - mean) ** 2, 0);
  return { mean, sd: values.length === 1 ? 0 : Math.sqrt(squares / (values.length - 1)) };
}

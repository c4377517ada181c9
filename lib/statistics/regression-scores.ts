import type { MetricValues } from '../../contracts/reports.ts';
import { descending } from './descending.ts';
import { finite, type RowCounts, type Scores } from './scores.ts';

/** @param error truth minus prediction */
export const pinballLoss = (error: number, quantile: number): number =>
  error >= 0 ? quantile * error : (quantile - 1) * error;

/**
 * Metrics of a regression, named and defined as in scikit-learn.
 *
 * @example
 * new RegressionScores(Float64Array.of(1, 2), Float64Array.of(1, 3)).metrics().mean_absolute_error; // 0.5
 */
export class RegressionScores implements Scores {
  /** Absolute errors, `[n]`. */
  readonly #errors: Float64Array;
  /** Loss at the quantile, `[n]` (Koenker and Bassett 1978). */
  readonly #pinball: Float64Array;
  /** Row numbers from the largest error to the smallest. */
  readonly #order: Uint32Array;

  /**
   * @param truth `[n]`, @param predictions `[n]`, both in units of the target
   * @param quantile that `mean_pinball_loss` judges
   */
  constructor(
    private readonly truth: Float64Array,
    predictions: Float64Array,
    quantile = 0.5,
  ) {
    this.#pinball = truth.map((value, i) => pinballLoss(value - (predictions[i] ?? 0), quantile));
    this.#errors = truth.map((value, i) => Math.abs(value - (predictions[i] ?? 0)));
    this.#order = descending(this.#errors);
  }

  get rows(): number {
    return this.truth.length;
  }

  metrics(counts?: RowCounts): MetricValues {
    const n = this.rows;
    const countOf = (i: number): number => (counts === undefined ? 1 : (counts[i] ?? 0));
    let [rows, sum, squared, absolute, relative, pinball] = [0, 0, 0, 0, 0, 0];
    let [least, greatest] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
    for (let i = 0; i < n; i++) {
      const count = countOf(i);
      const error = this.#errors[i] ?? 0;
      const truth = this.truth[i] ?? 0;
      if (count === 0) continue;
      least = Math.min(least, truth);
      greatest = Math.max(greatest, truth);
      rows += count;
      sum += count * truth;
      squared += count * error ** 2;
      absolute += count * error;
      pinball += count * (this.#pinball[i] ?? 0);
      relative += (count * error) / Math.max(Math.abs(truth), Number.EPSILON);
    }
    const mean = sum / rows;
    let total = 0;
    for (let i = 0; i < n; i++) total += countOf(i) * ((this.truth[i] ?? 0) - mean) ** 2;
    return finite({
      root_mean_squared_error: Math.sqrt(squared / rows),
      mean_absolute_error: absolute / rows,
      mean_absolute_percentage_error: relative / rows,
      // Of rows that are all alike the sum of squares is zero, but for rounding.
      r2: least === greatest ? undefined : 1 - squared / total,
      median_absolute_error: this.#medianError(rows, countOf),
      mean_pinball_loss: pinball / rows,
    });
  }

  /** Of an even number of rows the mean of the two in the middle. */
  #medianError(rows: number, countOf: (row: number) => number): number {
    const [first, second] = [Math.floor((rows - 1) / 2), Math.ceil((rows - 1) / 2)];
    let [seen, sum] = [0, 0];
    for (const row of this.#order) {
      const from = seen;
      const to = seen + countOf(row);
      const error = this.#errors[row] ?? 0;
      if (from <= first && first < to) sum += error / 2;
      if (from <= second && second < to) return sum + error / 2;
      seen = to;
    }
    return Number.NaN;
  }
}

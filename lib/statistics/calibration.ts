/** One bin of a reliability diagram. */
export interface CalibrationBin {
  /** Mean predicted probability of the rows in the bin. */
  predicted: number;
  /** Share of the rows for which the prediction came true. */
  observed: number;
  rows: number;
}

/** Bins of equal width. */
const BINS = 10;

/** Gathers a reliability diagram row by row. */
export class CalibrationCounts {
  readonly #rows = new Float64Array(BINS);
  readonly #predicted = new Float64Array(BINS);
  readonly #observed = new Float64Array(BINS);

  /**
   * @param probability 0 to 1
   * @param outcome 1 where what was predicted came true, else 0
   * @param count how often the row counts
   */
  add(probability: number, outcome: number, count: number): void {
    const bin = Math.min(BINS - 1, Math.max(0, Math.floor(probability * BINS)));
    this.#rows[bin] = (this.#rows[bin] ?? 0) + count;
    this.#predicted[bin] = (this.#predicted[bin] ?? 0) + count * probability;
    this.#observed[bin] = (this.#observed[bin] ?? 0) + count * outcome;
  }

  /** The bins that hold rows, from low to high. */
  bins(): CalibrationBin[] {
    return Array.from(this.#rows, (rows, bin) => ({
      rows,
      predicted: (this.#predicted[bin] ?? 0) / rows,
      observed: (this.#observed[bin] ?? 0) / rows,
    })).filter(({ rows }) => rows > 0);
  }

  /** Expected calibration error (Naeini et al. 2015): the mean distance of predicted and observed, weighted by rows. */
  error(): number {
    const bins = this.bins();
    const total = bins.reduce((sum, bin) => sum + bin.rows, 0);
    return bins.reduce((sum, bin) => sum + (bin.rows / total) * Math.abs(bin.predicted - bin.observed), 0);
  }
}

/**
 * A reliability diagram with ten bins of equal width; empty bins are left out.
 *
 * @param outcomes 1 where what was predicted came true, `[n]`
 * @param probabilities `[n]`, 0 to 1
 */
export function calibrationBins(outcomes: Uint8Array, probabilities: Float64Array): CalibrationBin[] {
  const counts = new CalibrationCounts();
  for (const [i, probability] of probabilities.entries()) counts.add(probability, outcomes[i] ?? 0, 1);
  return counts.bins();
}

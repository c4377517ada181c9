/** One bin of a reliability diagram. */
export interface CalibrationBin {
  /** Mean predicted probability of the rows in the bin. */
  predicted: number;
  /** Share of the rows for which the prediction came true. */
  observed: number;
  rows: number;
}

/** Bins of equal width. */
export const CALIBRATION_BINS = 10;

/** The bin of a probability. */
export const calibrationBin = (probability: number): number =>
  Math.min(CALIBRATION_BINS - 1, Math.max(0, Math.floor(probability * CALIBRATION_BINS)));

/** Gathers a reliability diagram row by row. */
export class CalibrationCounts {
  readonly #rows = new Float64Array(CALIBRATION_BINS);
  readonly #predicted = new Float64Array(CALIBRATION_BINS);
  readonly #observed = new Float64Array(CALIBRATION_BINS);

  /**
   * @param probability 0 to 1
   * @param outcome 1 where what was predicted came true, else 0
   * @param count how often the row counts
   */
  add(probability: number, outcome: number, count: number): void {
    const bin = calibrationBin(probability);
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

/** Steps of Newton's method at the most; it takes about six. */
const MOST_STEPS = 50;

/** Probabilities are kept this far from 0 and 1, where the log-odds are infinite. */
const EDGE = 1e-12;

/**
 * Slope and intercept of the logistic regression of the truth on the log-odds of the prediction (Cox 1958): 1 and 0
 * where the model is calibrated; a slope below 1 says that it is too sure of itself.
 *
 * @returns `null` where there is no finite answer: one class alone, answers that are all alike or tell the classes apart
 */
export function calibrationLine(
  outcomes: Uint8Array,
  probabilities: Float64Array,
): { slope: number; intercept: number } | null {
  const logOdds = probabilities.map((value) => {
    const p = Math.min(1 - EDGE, Math.max(EDGE, value));
    return Math.log(p / (1 - p));
  });
  let [intercept, slope] = [0, 1];
  for (let step = 0; step < MOST_STEPS; step++) {
    let [g0, g1, h00, h01, h11] = [0, 0, 0, 0, 0];
    for (let i = 0; i < logOdds.length; i++) {
      const x = logOdds[i] ?? 0;
      const p = 1 / (1 + Math.exp(-(intercept + slope * x)));
      const error = (outcomes[i] ?? 0) - p;
      const weight = p * (1 - p);
      g0 += error;
      g1 += error * x;
      h00 += weight;
      h01 += weight * x;
      h11 += weight * x * x;
    }
    const determinant = h00 * h11 - h01 * h01;
    if (!(determinant > 1e-9 * h00 * h11)) return null;
    const [d0, d1] = [(h11 * g0 - h01 * g1) / determinant, (h00 * g1 - h01 * g0) / determinant];
    intercept += d0;
    slope += d1;
    if (!Number.isFinite(intercept) || !Number.isFinite(slope)) return null;
    if (Math.abs(d0) + Math.abs(d1) < 1e-10 * (1 + Math.abs(intercept) + Math.abs(slope)))
      return { slope, intercept };
  }
  return null;
}

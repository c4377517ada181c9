/** One bin of a reliability diagram. */
export interface CalibrationBin {
  /** Mean predicted probability of the rows in the bin. */
  predicted: number;
  /** Share of the rows for which the prediction came true. */
  observed: number;
  rows: number;
}

/**
 * A reliability diagram with bins of equal width; empty bins are left out.
 *
 * @param outcomes 1 where what was predicted came true, `[n]`
 * @param probabilities `[n]`, 0 to 1
 * @param bins default 10
 */
export function calibrationBins(
  outcomes: Uint8Array,
  probabilities: Float64Array,
  bins = 10,
): CalibrationBin[] {
  const rows = new Float64Array(bins);
  const predicted = new Float64Array(bins);
  const observed = new Float64Array(bins);
  for (let i = 0; i < probabilities.length; i++) {
    const p = probabilities[i] ?? 0;
    const bin = Math.min(bins - 1, Math.max(0, Math.floor(p * bins)));
    rows[bin] = (rows[bin] ?? 0) + 1;
    predicted[bin] = (predicted[bin] ?? 0) + p;
    observed[bin] = (observed[bin] ?? 0) + (outcomes[i] ?? 0);
  }
  return Array.from(rows, (count, bin) => ({
    rows: count,
    predicted: (predicted[bin] ?? 0) / count,
    observed: (observed[bin] ?? 0) / count,
  })).filter((bin) => bin.rows > 0);
}

/** Expected calibration error (Naeini et al. 2015): the mean distance of predicted and observed, weighted by rows. */
export function expectedCalibrationError(bins: readonly CalibrationBin[]): number {
  const total = bins.reduce((sum, bin) => sum + bin.rows, 0);
  return bins.reduce((sum, bin) => sum + (bin.rows / total) * Math.abs(bin.predicted - bin.observed), 0);
}

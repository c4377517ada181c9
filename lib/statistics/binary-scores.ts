import type { MetricValues } from '../../contracts/reports.ts';
import { CalibrationCounts } from './calibration.ts';
import { decisionMetrics } from './decision-metrics.ts';
import { descending } from './descending.ts';
import { finite, logLossOf, type RowCounts, type Scores } from './scores.ts';

/**
 * Counts of positives and negatives with a score of at least a threshold, for every distinct score from the highest on;
 * equal scores are one point.
 */
export interface RankingCurve {
  length: number;
  truePositives: Uint32Array;
  falsePositives: Uint32Array;
}

/**
 * Metrics of a binary classifier, named and defined as in scikit-learn; thresholded ones at `threshold`.
 *
 * @example
 * new BinaryScores(Uint8Array.of(1, 0), Float64Array.of(0.9, 0.2)).metrics().roc_auc; // 1
 */
export class BinaryScores implements Scores {
  /** Row numbers from the highest probability to the lowest; the arrays below are in this order. */
  readonly #order: Uint32Array;
  readonly #positive: Uint8Array;
  readonly #probability: Float64Array;
  readonly #logLoss: Float64Array;

  /**
   * @param positives 1 where the row is of the positive class, else 0; `[n]`
   * @param probabilities of the positive class, `[n]`
   * @param threshold from which probability on the answer is the positive class
   */
  constructor(
    positives: Uint8Array,
    probabilities: Float64Array,
    private readonly threshold = 0.5,
  ) {
    const n = positives.length;
    const order = descending(probabilities);
    this.#order = order;
    this.#positive = new Uint8Array(n);
    this.#probability = new Float64Array(n);
    this.#logLoss = new Float64Array(n);
    for (let i = 0; i < n; i++) {
      const row = order[i] ?? 0;
      const probability = probabilities[row] ?? 0;
      const positive = positives[row] ?? 0;
      this.#positive[i] = positive;
      this.#probability[i] = probability;
      this.#logLoss[i] = logLossOf(positive ? probability : 1 - probability);
    }
  }

  get rows(): number {
    return this.#order.length;
  }

  /** The ranking of all rows. */
  curve(): RankingCurve {
    const n = this.rows;
    const truePositives = new Uint32Array(n);
    const falsePositives = new Uint32Array(n);
    let length = 0;
    let above = 0;
    for (let i = 0; i < n; i++) {
      above += this.#positive[i] ?? 0;
      if (i + 1 < n && this.#probability[i + 1] === this.#probability[i]) continue;
      truePositives[length] = above;
      falsePositives[length] = i + 1 - above;
      length++;
    }
    return {
      length,
      truePositives: truePositives.subarray(0, length),
      falsePositives: falsePositives.subarray(0, length),
    };
  }

  metrics(counts?: RowCounts): MetricValues {
    const order = this.#order;
    const n = order.length;
    const calibration = new CalibrationCounts();
    let [logLoss, brier] = [0, 0];
    // Rows so far, and those with the last higher score; ties are one step of the curves.
    let [tp, fp, tpBefore, fpBefore] = [0, 0, 0, 0];
    let [area, precisions] = [0, 0];
    let [saidTp, saidFp] = [0, 0];
    for (let i = 0; i < n; i++) {
      const count = counts === undefined ? 1 : (counts[order[i] ?? 0] ?? 0);
      const positive = this.#positive[i] ?? 0;
      const probability = this.#probability[i] ?? 0;
      if (count > 0) {
        if (positive) tp += count;
        else fp += count;
        logLoss += count * (this.#logLoss[i] ?? 0);
        brier += count * (probability - positive) ** 2;
        calibration.add(probability, positive, count);
      }
      if (i + 1 < n && this.#probability[i + 1] === probability) continue;
      area += ((fp - fpBefore) * (tp + tpBefore)) / 2;
      if (tp > tpBefore) precisions += ((tp - tpBefore) * tp) / (tp + fp);
      if (probability >= this.threshold) {
        saidTp = tp;
        saidFp = fp;
      }
      tpBefore = tp;
      fpBefore = fp;
    }
    const rows = tp + fp;
    return finite({
      roc_auc: area / (tp * fp),
      average_precision: precisions / tp,
      log_loss: logLoss / rows,
      brier_score: brier / rows,
      ...decisionMetrics({ tp: saidTp, fp: saidFp, fn: tp - saidTp, tn: fp - saidFp }),
      expected_calibration_error: calibration.error(),
    });
  }
}

import type { MetricValues } from '../../contracts/reports.ts';
import { CALIBRATION_BINS, calibrationBin } from './calibration.ts';
import { descending } from './descending.ts';
import { finite, logLossOf, type RowCounts, ratio, type Scores } from './scores.ts';

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
  readonly #squared: Float64Array;
  /** 1 where the next probability is a lower one: ties are one step of the curves. */
  readonly #last: Uint8Array;
  /** Where each bin of the reliability diagram ends, from the highest probabilities to the lowest. */
  readonly #binEnds: Uint32Array;
  /** Rows whose answer is the positive class: so many from the first on. */
  readonly #said: number;

  /**
   * @param positives 1 where the row is of the positive class, else 0; `[n]`
   * @param probabilities of the positive class, `[n]`
   * @param threshold from which probability on the answer is the positive class
   */
  constructor(positives: Uint8Array, probabilities: Float64Array, threshold = 0.5) {
    const n = positives.length;
    const order = descending(probabilities);
    this.#order = order;
    this.#positive = new Uint8Array(n);
    this.#probability = new Float64Array(n);
    this.#logLoss = new Float64Array(n);
    this.#squared = new Float64Array(n);
    this.#last = new Uint8Array(n);
    this.#binEnds = new Uint32Array(CALIBRATION_BINS);
    let said = 0;
    for (let i = 0; i < n; i++) {
      const row = order[i] ?? 0;
      const probability = probabilities[row] ?? 0;
      const positive = positives[row] ?? 0;
      this.#positive[i] = positive;
      this.#probability[i] = probability;
      this.#logLoss[i] = logLossOf(positive ? probability : 1 - probability);
      this.#squared[i] = (probability - positive) ** 2;
      this.#last[i] = i + 1 < n && probabilities[order[i + 1] ?? 0] === probability ? 0 : 1;
      this.#binEnds[CALIBRATION_BINS - 1 - calibrationBin(probability)] = i + 1;
      if (probability >= threshold) said = i + 1;
    }
    // A bin without rows ends where the one before it does.
    for (let bin = 1; bin < CALIBRATION_BINS; bin++)
      this.#binEnds[bin] = Math.max(this.#binEnds[bin] ?? 0, this.#binEnds[bin - 1] ?? 0);
    this.#said = said;
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
      if (this.#last[i] === 0) continue;
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

  /** Rows of each outcome at the threshold. */
  outcomes(counts?: RowCounts): { tp: number; fp: number; fn: number; tn: number } {
    let [tp, fp, positives, rows] = [0, 0, 0, 0];
    for (let i = 0; i < this.rows; i++) {
      const count = counts === undefined ? 1 : (counts[this.#order[i] ?? 0] ?? 0);
      const positive = count * (this.#positive[i] ?? 0);
      rows += count;
      positives += positive;
      if (i >= this.#said) continue;
      tp += positive;
      fp += count - positive;
    }
    return { tp, fp, fn: positives - tp, tn: rows - positives - fp };
  }

  metrics(counts?: RowCounts): MetricValues {
    const order = this.#order;
    const [positives, probabilities, last] = [this.#positive, this.#probability, this.#last];
    const [logLosses, squares] = [this.#logLoss, this.#squared];
    const said = this.#said;
    let [logLoss, brier, calibration] = [0, 0, 0];
    // Rows so far, and those with the last higher score.
    let [tp, fp, tpBefore, fpBefore] = [0, 0, 0, 0];
    let [area, precisions] = [0, 0];
    let [saidTp, saidFp] = [0, 0];
    let i = 0;
    for (const end of this.#binEnds) {
      const positiveBefore = tp;
      let predicted = 0;
      for (; i < end; i++) {
        if (i === said) {
          saidTp = tp;
          saidFp = fp;
        }
        const count = counts === undefined ? 1 : (counts[order[i] ?? 0] ?? 0);
        const positive = count * (positives[i] ?? 0);
        tp += positive;
        fp += count - positive;
        logLoss += count * (logLosses[i] ?? 0);
        brier += count * (squares[i] ?? 0);
        predicted += count * (probabilities[i] ?? 0);
        if (last[i] === 0) continue;
        area += (fp - fpBefore) * (tp + tpBefore);
        // Without a branch on the class, which no processor foretells.
        if (tp + fp > 0) precisions += ((tp - tpBefore) * tp) / (tp + fp);
        tpBefore = tp;
        fpBefore = fp;
      }
      // The distance of predicted and observed, weighted by the rows of the bin.
      calibration += Math.abs(predicted - (tp - positiveBefore));
    }
    if (said === order.length) {
      saidTp = tp;
      saidFp = fp;
    }
    const rows = tp + fp;
    const fn = tp - saidTp;
    const tn = fp - saidFp;
    return finite({
      roc_auc: area / 2 / (tp * fp),
      average_precision: precisions / tp,
      log_loss: logLoss / rows,
      brier_score: brier / rows,
      accuracy: (saidTp + tn) / rows,
      balanced_accuracy: (saidTp / tp + tn / fp) / 2,
      precision: ratio(saidTp, saidTp + saidFp),
      recall: ratio(saidTp, tp),
      f1: ratio(2 * saidTp, 2 * saidTp + saidFp + fn),
      matthews_corrcoef: ratio(saidTp * tn - saidFp * fn, Math.sqrt((saidTp + saidFp) * tp * fp * (tn + fn))),
      expected_calibration_error: calibration / rows,
    });
  }
}

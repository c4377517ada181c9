import type { MetricValues } from '../../contracts/reports.ts';
import { CALIBRATION_BINS, calibrationBin } from './calibration.ts';
import { descending } from './descending.ts';
import { finite, logLossOf, type RowCounts, ratio, type Scores } from './scores.ts';

/** Rows in the order of the scores of all classes together that are kept, 5 bytes each: 320 MiB. */
const MAX_KEPT = 2 ** 26;

/** The rows in the order of a class's scores, from the highest to the lowest. */
interface ClassRanking {
  order: Uint32Array;
  /** Bit 0: the row is of the class; bit 1: the next score is a lower one. */
  marks: Uint8Array;
}

/**
 * Metrics of a classifier of several classes, named and defined as in scikit-learn: macro and weighted averages over
 * the classes that occur or are answered, one-versus-rest AUC over those that occur.
 *
 * @example
 * new MulticlassScores(Int32Array.of(0, 2), 3, Float64Array.of(0.8, 0.1, 0.1, 0.2, 0.2, 0.6)).metrics().accuracy; // 1
 */
export class MulticlassScores implements Scores {
  /** The class with the highest probability, `[n]`. */
  readonly #said: Int32Array;
  /** Its probability minus 1 where it is right, and the bin of that probability; `[n]`. */
  readonly #excess: Float64Array;
  readonly #bin: Uint8Array;
  readonly #logLoss: Float64Array;
  readonly #squared: Float64Array;
  readonly #rankings = new Map<number, ClassRanking>();

  /**
   * @param labels class indices `[n]`
   * @param probabilities row-major `[n, classes]`
   */
  constructor(
    private readonly labels: Int32Array,
    private readonly classes: number,
    private readonly probabilities: Float64Array,
  ) {
    const n = labels.length;
    this.#said = new Int32Array(n);
    this.#excess = new Float64Array(n);
    this.#bin = new Uint8Array(n);
    this.#logLoss = new Float64Array(n);
    this.#squared = new Float64Array(n);
    for (let i = 0; i < n; i++) {
      const label = labels[i] ?? 0;
      let best = 0;
      let squared = 0;
      for (let k = 0; k < classes; k++) {
        const p = this.#probability(i, k);
        squared += (p - (k === label ? 1 : 0)) ** 2;
        if (p > this.#probability(i, best)) best = k;
      }
      this.#said[i] = best;
      this.#excess[i] = this.#probability(i, best) - (best === label ? 1 : 0);
      this.#bin[i] = calibrationBin(this.#probability(i, best));
      this.#squared[i] = squared;
      this.#logLoss[i] = logLossOf(this.#probability(i, label));
    }
  }

  get rows(): number {
    return this.labels.length;
  }

  metrics(counts?: RowCounts): MetricValues {
    const { classes } = this;
    const actual = new Float64Array(classes);
    const answered = new Float64Array(classes);
    const hits = new Float64Array(classes);
    const excess = new Float64Array(CALIBRATION_BINS);
    let [rows, logLoss, squared, right] = [0, 0, 0, 0];
    for (let i = 0; i < this.rows; i++) {
      const count = counts === undefined ? 1 : (counts[i] ?? 0);
      if (count === 0) continue;
      const said = this.#said[i] ?? 0;
      const label = this.labels[i] ?? 0;
      const hit = said === label ? 1 : 0;
      actual[label] = (actual[label] ?? 0) + count;
      answered[said] = (answered[said] ?? 0) + count;
      hits[said] = (hits[said] ?? 0) + count * hit;
      rows += count;
      logLoss += count * (this.#logLoss[i] ?? 0);
      squared += count * (this.#squared[i] ?? 0);
      right += count * hit;
      const bin = this.#bin[i] ?? 0;
      excess[bin] = (excess[bin] ?? 0) + count * (this.#excess[i] ?? 0);
    }
    const sum = (of: (k: number) => number): number => {
      let total = 0;
      for (let k = 0; k < classes; k++) total += of(k);
      return total;
    };
    const occurs = (k: number): boolean => (actual[k] ?? 0) + (answered[k] ?? 0) > 0;
    const precision = (k: number): number => ratio(hits[k] ?? 0, answered[k] ?? 0);
    const recall = (k: number): number => ratio(hits[k] ?? 0, actual[k] ?? 0);
    const f1 = (k: number): number => ratio(2 * (hits[k] ?? 0), (actual[k] ?? 0) + (answered[k] ?? 0));
    const mean = (of: (k: number) => number, counts: (k: number) => boolean): number =>
      sum((k) => (counts(k) ? of(k) : 0)) / sum((k) => (counts(k) ? 1 : 0));
    const macro = (of: (k: number) => number): number => mean(of, occurs);
    const weighted = (of: (k: number) => number): number => sum((k) => (actual[k] ?? 0) * of(k)) / rows;
    const present = (k: number): boolean => (actual[k] ?? 0) > 0;
    // Gorodkin 2004, as scikit-learn has it.
    const square = (values: Float64Array): number => sum((k) => (values[k] ?? 0) ** 2);
    const covariance = right * rows - sum((k) => (actual[k] ?? 0) * (answered[k] ?? 0));
    return finite({
      roc_auc: this.#rankable(counts)
        ? mean((k) => this.#oneVersusRest(k, actual[k] ?? 0, rows, counts), present)
        : undefined,
      log_loss: logLoss / rows,
      brier_score: squared / rows,
      accuracy: right / rows,
      balanced_accuracy: mean(recall, present),
      macro_precision: macro(precision),
      macro_recall: macro(recall),
      macro_f1: macro(f1),
      weighted_precision: weighted(precision),
      weighted_recall: weighted(recall),
      weighted_f1: weighted(f1),
      matthews_corrcoef: ratio(
        covariance,
        Math.sqrt((rows ** 2 - square(answered)) * (rows ** 2 - square(actual))),
      ),
      // Naeini et al. 2015: the distance of predicted and observed in each bin, weighted by its rows.
      expected_calibration_error: excess.reduce((total, value) => total + Math.abs(value), 0) / rows,
    });
  }

  #probability(row: number, k: number): number {
    return this.probabilities[row * this.classes + k] ?? 0;
  }

  /** Whether the rankings can be had in time: of a sample only where they are kept. */
  #rankable(counts: RowCounts | undefined): boolean {
    return counts === undefined || this.classes * this.rows <= MAX_KEPT;
  }

  /** Area under the ROC curve of one class against all others, ties counted half. */
  #oneVersusRest(k: number, positives: number, rows: number, counts: RowCounts | undefined): number {
    const { order, marks } = this.#ranking(k);
    let [tp, fp, tpBefore, fpBefore, area] = [0, 0, 0, 0, 0];
    for (let i = 0; i < order.length; i++) {
      const count = counts === undefined ? 1 : (counts[order[i] ?? 0] ?? 0);
      const mark = marks[i] ?? 0;
      const positive = count * (mark & 1);
      tp += positive;
      fp += count - positive;
      if (mark < 2) continue;
      area += (fp - fpBefore) * (tp + tpBefore);
      tpBefore = tp;
      fpBefore = fp;
    }
    return area / 2 / (positives * (rows - positives));
  }

  #ranking(k: number): ClassRanking {
    const known = this.#rankings.get(k);
    if (known) return known;
    const n = this.rows;
    const scores = new Float64Array(n);
    for (let i = 0; i < n; i++) scores[i] = this.#probability(i, k);
    const order = descending(scores);
    const marks = new Uint8Array(n);
    for (let i = 0; i < n; i++) {
      const row = order[i] ?? 0;
      const isLast = i + 1 === n || scores[order[i + 1] ?? 0] !== scores[row];
      marks[i] = (this.labels[row] === k ? 1 : 0) | (isLast ? 2 : 0);
    }
    const ranking = { order, marks };
    if (this.classes * n <= MAX_KEPT) this.#rankings.set(k, ranking);
    return ranking;
  }
}

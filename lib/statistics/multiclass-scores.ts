import type { MetricValues } from '../../contracts/reports.ts';
import { CalibrationCounts } from './calibration.ts';
import { descending } from './descending.ts';
import { finite, logLossOf, type RowCounts, ratio, type Scores } from './scores.ts';

/** Numbers of rows in the order of a class's scores that are kept: 256 MiB. Beyond it they are sorted each time. */
const MAX_KEPT = 2 ** 26;

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
  readonly #logLoss: Float64Array;
  readonly #squared: Float64Array;
  readonly #orders = new Map<number, Uint32Array>();

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
      this.#squared[i] = squared;
      this.#logLoss[i] = logLossOf(this.#probability(i, label));
    }
  }

  get rows(): number {
    return this.labels.length;
  }

  metrics(counts?: RowCounts): MetricValues {
    const { classes } = this;
    const confusion = this.confusion(counts);
    const calibration = new CalibrationCounts();
    let [rows, logLoss, squared, right] = [0, 0, 0, 0];
    for (let i = 0; i < this.rows; i++) {
      const count = counts === undefined ? 1 : (counts[i] ?? 0);
      if (count === 0) continue;
      const said = this.#said[i] ?? 0;
      const hit = said === this.labels[i] ? 1 : 0;
      rows += count;
      logLoss += count * (this.#logLoss[i] ?? 0);
      squared += count * (this.#squared[i] ?? 0);
      right += count * hit;
      calibration.add(this.#probability(i, said), hit, count);
    }
    const sum = (of: (k: number) => number): number => {
      let total = 0;
      for (let k = 0; k < classes; k++) total += of(k);
      return total;
    };
    const cell = (actual: number, said: number): number => confusion[actual * classes + said] ?? 0;
    const actual = Float64Array.from({ length: classes }, (_, k) => sum((said) => cell(k, said)));
    const answered = Float64Array.from({ length: classes }, (_, k) => sum((truth) => cell(truth, k)));
    const occurs = (k: number): boolean => (actual[k] ?? 0) + (answered[k] ?? 0) > 0;
    const precision = (k: number): number => ratio(cell(k, k), answered[k] ?? 0);
    const recall = (k: number): number => ratio(cell(k, k), actual[k] ?? 0);
    const f1 = (k: number): number => ratio(2 * cell(k, k), (actual[k] ?? 0) + (answered[k] ?? 0));
    const mean = (of: (k: number) => number, counts: (k: number) => boolean): number =>
      sum((k) => (counts(k) ? of(k) : 0)) / sum((k) => (counts(k) ? 1 : 0));
    const macro = (of: (k: number) => number): number => mean(of, occurs);
    const weighted = (of: (k: number) => number): number => sum((k) => (actual[k] ?? 0) * of(k)) / rows;
    // Gorodkin 2004, as scikit-learn has it.
    const square = (values: Float64Array): number => sum((k) => (values[k] ?? 0) ** 2);
    const covariance = right * rows - sum((k) => (actual[k] ?? 0) * (answered[k] ?? 0));
    return finite({
      roc_auc: mean(
        (k) => this.#oneVersusRest(k, actual[k] ?? 0, rows, counts),
        (k) => (actual[k] ?? 0) > 0,
      ),
      log_loss: logLoss / rows,
      brier_score: squared / rows,
      accuracy: right / rows,
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
      expected_calibration_error: calibration.error(),
    });
  }

  /** How many rows of each class were said to be of each, row-major `[classes, classes]`: truth, answer. */
  confusion(counts?: RowCounts): Float64Array {
    const cells = new Float64Array(this.classes ** 2);
    for (let i = 0; i < this.rows; i++) {
      const cell = (this.labels[i] ?? 0) * this.classes + (this.#said[i] ?? 0);
      cells[cell] = (cells[cell] ?? 0) + (counts === undefined ? 1 : (counts[i] ?? 0));
    }
    return cells;
  }

  #probability(row: number, k: number): number {
    return this.probabilities[row * this.classes + k] ?? 0;
  }

  /** Area under the ROC curve of one class against all others, ties counted half. */
  #oneVersusRest(k: number, positives: number, rows: number, counts: RowCounts | undefined): number {
    const order = this.#order(k);
    let [tp, fp, tpBefore, fpBefore, area] = [0, 0, 0, 0, 0];
    for (let i = 0; i < order.length; i++) {
      const row = order[i] ?? 0;
      const count = counts === undefined ? 1 : (counts[row] ?? 0);
      if (this.labels[row] === k) tp += count;
      else fp += count;
      const next = order[i + 1];
      if (next !== undefined && this.#probability(next, k) === this.#probability(row, k)) continue;
      area += ((fp - fpBefore) * (tp + tpBefore)) / 2;
      tpBefore = tp;
      fpBefore = fp;
    }
    return area / (positives * (rows - positives));
  }

  #order(k: number): Uint32Array {
    const known = this.#orders.get(k);
    if (known) return known;
    const order = descending(Float64Array.from({ length: this.rows }, (_, i) => this.#probability(i, k)));
    if ((this.#orders.size + 1) * this.rows <= MAX_KEPT) this.#orders.set(k, order);
    return order;
  }
}

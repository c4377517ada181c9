import type { MetricIntervals, MetricValues } from '../../contracts/evaluation-report.ts';
import { CALIBRATION_BINS, calibrationBin } from './calibration.ts';
import { type Decisions, decisionMetrics } from './decision-metrics.ts';
import { descending } from './descending.ts';
import { finite, logLossOf, ratio } from './scores.ts';

/** Metrics that are expected where the truth is not known yet, and where they lie in 19 of 20 cases. */
export interface ExpectedQuality {
  metrics: MetricValues;
  intervals: MetricIntervals;
}

/** Standard normal quantile of 97.5 %. */
const Z = 1.959963984540054;

/**
 * Metrics of a binary classifier in expectation over the truth, by the confidence of its answers: a row counts as a
 * positive with its probability, and as a negative with the rest (confidence-based performance estimation, Kivimäki et
 * al. 2024; the figures are those of NannyML’s `CBPE`).
 *
 * The intervals are of the metric that will be found when the truth of these rows is known (delta method over
 * independent outcomes): they hold where the probabilities do, and know nothing of a concept that changed.
 *
 * @param probabilities of the positive class, calibrated, `[n]`
 * @param answers of the model, by which it ranks and decides, `[n]`
 * @param threshold from which answer on the row is said to be positive
 */
export function expectedBinary(
  probabilities: Float64Array,
  answers: Float64Array,
  threshold: number,
): ExpectedQuality {
  const rows = answers.length;
  if (rows === 0) return { metrics: {}, intervals: {} };
  const counts: Decisions = { tp: 0, fp: 0, fn: 0, tn: 0 };
  const calibration = new Float64Array(CALIBRATION_BINS);
  let [logLoss, brier] = [0, 0];
  for (let i = 0; i < rows; i++) {
    const p = probabilities[i] ?? 0;
    const q = answers[i] ?? 0;
    if (q >= threshold) {
      counts.tp += p;
      counts.fp += 1 - p;
    } else {
      counts.fn += p;
      counts.tn += 1 - p;
    }
    logLoss += p * logLossOf(q) + (1 - p) * logLossOf(1 - q);
    brier += p * (1 - q) ** 2 + (1 - p) * q * q;
    const bin = calibrationBin(q);
    calibration[bin] = (calibration[bin] ?? 0) + q - p;
  }
  const ranking = expectedRanking(probabilities, answers);
  const metrics = finite({
    roc_auc: ranking.area,
    average_precision: ranking.precision,
    log_loss: logLoss / rows,
    brier_score: brier / rows,
    ...decisionMetrics(counts),
    expected_calibration_error: calibration.reduce((sum, bin) => sum + Math.abs(bin), 0) / rows,
  });
  const { recall = 0, f1 = 0 } = metrics;
  const positives = counts.tp + counts.fn;
  const said = counts.tp + counts.fp;
  // How much a metric rises where one row turns out to be positive.
  const slopes: Partial<Record<keyof MetricValues, (i: number, isSaid: number) => number>> = {
    roc_auc: (i) => ranking.slopes[i] ?? 0,
    log_loss: (i) => (logLossOf(answers[i] ?? 0) - logLossOf(1 - (answers[i] ?? 0))) / rows,
    brier_score: (i) => (1 - 2 * (answers[i] ?? 0)) / rows,
    accuracy: () => 1 / rows,
    precision: (_, isSaid) => ratio(isSaid, said),
    recall: (_, isSaid) => ratio(isSaid - recall, positives),
    f1: (_, isSaid) => ratio(2 * isSaid - f1, said + positives),
  };
  const intervals: MetricIntervals = {};
  for (const [name, slope] of Object.entries(slopes)) {
    const value = metrics[name as keyof MetricValues];
    if (value === undefined || slope === undefined) continue;
    let variance = 0;
    for (let i = 0; i < rows; i++) {
      const p = probabilities[i] ?? 0;
      variance += p * (1 - p) * slope(i, (answers[i] ?? 0) >= threshold ? 1 : 0) ** 2;
    }
    intervals[name as keyof MetricValues] = around(value, Math.sqrt(variance), name === 'log_loss');
  }
  return { metrics, intervals };
}

const around = (value: number, deviation: number, unbounded: boolean): { low: number; high: number } => ({
  low: Math.max(0, value - Z * deviation),
  high: unbounded ? value + Z * deviation : Math.min(1, value + Z * deviation),
});

/** Area under the ROC curve and average precision in expectation; answers that are equal are one step of the curves. */
function expectedRanking(
  probabilities: Float64Array,
  answers: Float64Array,
): { area: number; precision: number; slopes: Float64Array } {
  const rows = answers.length;
  const order = descending(answers);
  let positives = 0;
  for (let i = 0; i < rows; i++) positives += probabilities[i] ?? 0;
  const negatives = rows - positives;
  const slopes = new Float64Array(rows);
  let [tp, fp, area, precision] = [0, 0, 0, 0];
  for (let from = 0; from < rows; ) {
    const answer = answers[order[from] ?? 0];
    let [to, p] = [from, 0];
    for (; to < rows && answers[order[to] ?? 0] === answer; to++) p += probabilities[order[to] ?? 0] ?? 0;
    const n = to - from - p;
    area += n * (tp + p / 2);
    precision += (p * (tp + p)) / to;
    const lower = negatives - fp - n;
    for (let i = from; i < to; i++) slopes[order[i] ?? 0] = lower + n / 2 - (tp + p / 2);
    tp += p;
    fp += n;
    from = to;
  }
  const pairs = positives * negatives;
  for (let i = 0; i < rows; i++)
    slopes[i] = (slopes[i] ?? 0) / pairs - (area / pairs) * (1 / positives - 1 / negatives);
  return { area: area / pairs, precision: precision / positives, slopes };
}

/**
 * The same of several classes, the macro averages as NannyML has them: over all classes, each against the others.
 *
 * @param probabilities calibrated, row-major `[n, classes]`
 * @param answers of the model, row-major `[n, classes]`
 */
export function expectedMulticlass(
  probabilities: Float64Array,
  answers: Float64Array,
  classes: number,
): ExpectedQuality {
  const rows = answers.length / classes;
  if (rows === 0) return { metrics: {}, intervals: {} };
  const said = new Uint16Array(rows);
  const [hits, expected, answered] = [classes, classes, classes].map((n) => new Float64Array(n));
  if (!hits || !expected || !answered) return { metrics: {}, intervals: {} };
  // Mean and variance of what a row adds, over the class that it may turn out to be.
  const means = { accuracy: 0, log_loss: 0, brier_score: 0 };
  const variances = { accuracy: 0, log_loss: 0, brier_score: 0 };
  for (let row = 0; row < rows; row++) {
    const at = row * classes;
    let best = 0;
    let squares = 0;
    for (let k = 0; k < classes; k++) {
      if ((answers[at + k] ?? 0) > (answers[at + best] ?? 0)) best = k;
      squares += (answers[at + k] ?? 0) ** 2;
      expected[k] = (expected[k] ?? 0) + (probabilities[at + k] ?? 0);
    }
    said[row] = best;
    hits[best] = (hits[best] ?? 0) + (probabilities[at + best] ?? 0);
    answered[best] = (answered[best] ?? 0) + 1;
    const first = { accuracy: 0, log_loss: 0, brier_score: 0 };
    const second = { accuracy: 0, log_loss: 0, brier_score: 0 };
    for (let k = 0; k < classes; k++) {
      const [p, q] = [probabilities[at + k] ?? 0, answers[at + k] ?? 0];
      const values = {
        accuracy: k === best ? 1 : 0,
        log_loss: logLossOf(q),
        brier_score: squares - 2 * q + 1,
      };
      for (const name of NAMES) {
        first[name] += p * values[name];
        second[name] += p * values[name] ** 2;
      }
    }
    for (const name of NAMES) {
      means[name] += first[name] / rows;
      variances[name] += Math.max(0, second[name] - first[name] ** 2) / rows ** 2;
    }
  }
  const each = (of: (k: number) => number): number =>
    Array.from({ length: classes }, (_, k) => of(k)).reduce((sum, value) => sum + value, 0) / classes;
  const column = (values: Float64Array, k: number): Float64Array =>
    Float64Array.from({ length: rows }, (_, row) => values[row * classes + k] ?? 0);
  return {
    metrics: finite({
      roc_auc: each((k) => expectedRanking(column(probabilities, k), column(answers, k)).area),
      ...means,
      macro_precision: each((k) => ratio(hits[k] ?? 0, answered[k] ?? 0)),
      macro_recall: each((k) => ratio(hits[k] ?? 0, expected[k] ?? 0)),
      macro_f1: each((k) => ratio(2 * (hits[k] ?? 0), (answered[k] ?? 0) + (expected[k] ?? 0))),
    }),
    intervals: Object.fromEntries(
      NAMES.map((name) => [name, around(means[name], Math.sqrt(variances[name]), name !== 'accuracy')]),
    ),
  };
}

const NAMES = ['accuracy', 'log_loss', 'brier_score'] as const;

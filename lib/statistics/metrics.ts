import type { MetricValues } from '../../contracts/reports.ts';
import type { MetricName } from '../../contracts/spec/evaluation.ts';
import { calibrationBins, expectedCalibrationError } from './calibration.ts';
import { averagePrecision, rankingCurve, rocAuc } from './ranking.ts';

/** Probabilities are kept this far from 0 and 1 in logarithms, as scikit-learn does for float32. */
const EPSILON = 1.1920929e-7;
const clamp = (p: number): number => Math.min(1 - EPSILON, Math.max(EPSILON, p));

/** Only finite values are a result; a metric that is not defined on the rows is left out. */
const finite = (values: Partial<Record<MetricName, number | undefined>>): MetricValues =>
  Object.fromEntries(
    Object.entries(values).filter(([, value]) => value !== undefined && Number.isFinite(value)),
  );

const ratio = (part: number, whole: number): number => (whole === 0 ? 0 : part / whole);

/**
 * Metrics of a binary classifier, named and defined as in scikit-learn; thresholded ones at 0.5.
 *
 * @param labels class indices `[n]`
 * @param positive index of the positive class
 * @param probabilities of the positive class, `[n]`
 */
export function binaryMetrics(
  labels: Int32Array,
  positive: number,
  probabilities: Float64Array,
): MetricValues {
  const n = labels.length;
  const positives = Uint8Array.from(labels, (label) => (label === positive ? 1 : 0));
  let logLoss = 0;
  let brier = 0;
  let tp = 0;
  let fp = 0;
  let fn = 0;
  for (let i = 0; i < n; i++) {
    const y = positives[i] ?? 0;
    const p = probabilities[i] ?? 0;
    logLoss -= y ? Math.log(clamp(p)) : Math.log(1 - clamp(p));
    brier += (p - y) ** 2;
    const said = p >= 0.5;
    if (said && y) tp++;
    else if (said) fp++;
    else if (y) fn++;
  }
  const curve = rankingCurve(positives, probabilities);
  return finite({
    roc_auc: rocAuc(curve),
    average_precision: averagePrecision(curve),
    log_loss: logLoss / n,
    brier_score: brier / n,
    accuracy: (n - fp - fn) / n,
    precision: ratio(tp, tp + fp),
    recall: ratio(tp, tp + fn),
    f1: ratio(2 * tp, 2 * tp + fp + fn),
    expected_calibration_error: expectedCalibrationError(calibrationBins(positives, probabilities)),
  });
}

/**
 * Metrics of a classifier of several classes: one-versus-rest AUC and macro averages over the classes that occur.
 *
 * @param labels class indices `[n]`
 * @param probabilities row-major `[n, classes]`
 */
export function multiclassMetrics(
  labels: Int32Array,
  classes: number,
  probabilities: Float64Array,
): MetricValues {
  const n = labels.length;
  const tp = new Float64Array(classes);
  const said = new Float64Array(classes);
  const actual = new Float64Array(classes);
  const top = new Float64Array(n);
  const right = new Uint8Array(n);
  let logLoss = 0;
  let brier = 0;
  for (let i = 0; i < n; i++) {
    const label = labels[i] ?? 0;
    let best = 0;
    for (let k = 0; k < classes; k++) {
      const p = probabilities[i * classes + k] ?? 0;
      brier += (p - (k === label ? 1 : 0)) ** 2;
      if (p > (probabilities[i * classes + best] ?? 0)) best = k;
    }
    logLoss -= Math.log(clamp(probabilities[i * classes + label] ?? 0));
    top[i] = probabilities[i * classes + best] ?? 0;
    right[i] = best === label ? 1 : 0;
    said[best] = (said[best] ?? 0) + 1;
    actual[label] = (actual[label] ?? 0) + 1;
    if (best === label) tp[label] = (tp[label] ?? 0) + 1;
  }
  const present = Array.from({ length: classes }, (_, k) => k).filter((k) => (actual[k] ?? 0) > 0);
  const mean = (of: (k: number) => number): number =>
    present.reduce((sum, k) => sum + of(k), 0) / present.length;
  const precision = (k: number): number => ratio(tp[k] ?? 0, said[k] ?? 0);
  const recall = (k: number): number => ratio(tp[k] ?? 0, actual[k] ?? 0);
  const oneVersusRest = (k: number): number =>
    rocAuc(
      rankingCurve(
        Uint8Array.from(labels, (label) => (label === k ? 1 : 0)),
        Float64Array.from({ length: n }, (_, i) => probabilities[i * classes + k] ?? 0),
      ),
    ) ?? Number.NaN;
  return finite({
    roc_auc: mean(oneVersusRest),
    log_loss: logLoss / n,
    brier_score: brier / n,
    accuracy: right.reduce((sum, hit) => sum + hit, 0) / n,
    macro_precision: mean(precision),
    macro_recall: mean(recall),
    macro_f1: mean((k) => ratio(2 * precision(k) * recall(k), precision(k) + recall(k))),
    expected_calibration_error: expectedCalibrationError(calibrationBins(right, top)),
  });
}

/**
 * Metrics of a regression, named as in scikit-learn.
 *
 * @param truth `[n]`, @param predictions `[n]`, both in units of the target
 */
export function regressionMetrics(truth: Float64Array, predictions: Float64Array): MetricValues {
  const n = truth.length;
  const mean = truth.reduce((sum, value) => sum + value, 0) / n;
  let squared = 0;
  let absolute = 0;
  let total = 0;
  const errors = new Float64Array(n);
  for (let i = 0; i < n; i++) {
    const error = Math.abs((truth[i] ?? 0) - (predictions[i] ?? 0));
    errors[i] = error;
    squared += error ** 2;
    absolute += error;
    total += ((truth[i] ?? 0) - mean) ** 2;
  }
  errors.sort();
  const middle = ((errors[Math.floor((n - 1) / 2)] ?? 0) + (errors[Math.ceil((n - 1) / 2)] ?? 0)) / 2;
  return finite({
    root_mean_squared_error: Math.sqrt(squared / n),
    mean_absolute_error: absolute / n,
    r2: total === 0 ? undefined : 1 - squared / total,
    median_absolute_error: middle,
  });
}

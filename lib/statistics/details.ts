import type { EvaluationDetails } from '../../contracts/evaluation-report.ts';
import { quantile } from './bootstrap.ts';
import { CalibrationCounts, calibrationBins, calibrationLine } from './calibration.ts';
import { type DetailBootstrap, sampledIntervals } from './detail-samples.ts';
import { DEFAULT_THRESHOLD, type Problem, positiveIndex } from './judge.ts';
import { pinballLoss } from './regression-scores.ts';
import { membersOf, type RowCounts, ratio } from './scores.ts';

/** Quantiles of the residuals that are told. */
const QUANTILES = [0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99];

/** The class that a model answers for each row, as an index. */
export function answeredClasses(problem: Problem, answers: Float64Array, threshold: number): Uint16Array {
  if (problem.task === 'binary') {
    const positive = positiveIndex(problem);
    return Uint16Array.from(answers, (probability) => (probability >= threshold ? positive : 1 - positive));
  }
  const classes = problem.classNames.length;
  const said = new Uint16Array(answers.length / classes);
  for (let row = 0; row < said.length; row++) {
    let best = 0;
    for (let k = 1; k < classes; k++)
      if ((answers[row * classes + k] ?? 0) > (answers[row * classes + best] ?? 0)) best = k;
    said[row] = best;
  }
  return said;
}

/**
 * What stands behind the metrics: classes and confusion (at the threshold), reliability, residuals. Arguments as in
 * `scoresOf`.
 *
 * @param bootstrap left out: no intervals
 */
export function detailsOf(
  problem: Problem,
  labels: Int32Array | Float32Array,
  answers: Float64Array,
  threshold = DEFAULT_THRESHOLD,
  bootstrap?: DetailBootstrap,
): EvaluationDetails {
  if (problem.task === 'regression')
    return {
      threshold: null,
      classes: [],
      confusion: [],
      reliability: [],
      calibration: null,
      residuals: residualsOf(labels, answers, bootstrap),
    };
  const said = answeredClasses(problem, answers, threshold);
  const positives = problem.task === 'binary' ? membersOf(positiveIndex(problem), labels) : undefined;
  return {
    threshold: problem.task === 'binary' ? threshold : null,
    confusion: confusionOf(problem.classNames.length, labels, said),
    classes: classesOf(problem.classNames, labels, said, bootstrap),
    reliability: positives
      ? calibrationBins(positives, answers)
      : sureness(problem.classNames.length, labels, answers, said),
    calibration: positives ? calibrationLine(positives, answers) : null,
    residuals: null,
  };
}

/** Of several classes: how often the answer is right, by the probability that it was given. */
function sureness(
  classes: number,
  labels: Int32Array | Float32Array,
  answers: Float64Array,
  said: Uint16Array,
): EvaluationDetails['reliability'] {
  const counts = new CalibrationCounts();
  for (const [row, answer] of said.entries())
    counts.add(answers[row * classes + answer] ?? 0, answer === labels[row] ? 1 : 0, 1);
  return counts.bins();
}

function confusionOf(
  size: number,
  labels: Int32Array | Float32Array,
  said: Uint16Array,
): EvaluationDetails['confusion'] {
  const cells = new Uint32Array(size ** 2);
  for (const [row, answer] of said.entries()) {
    const cell = (labels[row] ?? 0) * size + answer;
    cells[cell] = (cells[cell] ?? 0) + 1;
  }
  const confusion: EvaluationDetails['confusion'] = [];
  for (const [cell, rows] of cells.entries())
    if (rows > 0) confusion.push({ truth: Math.floor(cell / size), answer: cell % size, rows });
  return confusion;
}

const CLASS_METRICS = ['precision', 'recall', 'f1'] as const;

function classesOf(
  classNames: readonly string[],
  labels: Int32Array | Float32Array,
  said: Uint16Array,
  bootstrap: DetailBootstrap | undefined,
): EvaluationDetails['classes'] {
  const size = classNames.length;
  const support = new Uint32Array(size);
  for (const label of labels) support[label] = (support[label] ?? 0) + 1;
  /** {@link CLASS_METRICS} of each class, one class after the other. */
  const valuesOf = (counts?: RowCounts): Float64Array => {
    const hits = new Float64Array(size);
    const truth = new Float64Array(size);
    const answers = new Float64Array(size);
    for (let row = 0; row < said.length; row++) {
      const count = counts === undefined ? 1 : (counts[row] ?? 0);
      const [label, answer] = [labels[row] ?? 0, said[row] ?? 0];
      truth[label] = (truth[label] ?? 0) + count;
      answers[answer] = (answers[answer] ?? 0) + count;
      if (label === answer) hits[label] = (hits[label] ?? 0) + count;
    }
    return Float64Array.from({ length: size * CLASS_METRICS.length }, (_, at) => {
      const k = Math.floor(at / CLASS_METRICS.length);
      const [hit, of, said_] = [hits[k] ?? 0, truth[k] ?? 0, answers[k] ?? 0];
      return [ratio(hit, said_), ratio(hit, of), ratio(2 * hit, of + said_)][at % CLASS_METRICS.length] ?? 0;
    });
  };
  const values = valuesOf();
  const intervals = bootstrap ? sampledIntervals(said.length, bootstrap, valuesOf) : [];
  return classNames.map((name, k) => {
    const first = k * CLASS_METRICS.length;
    const [precision = 0, recall = 0, f1 = 0] = values.subarray(first, first + CLASS_METRICS.length);
    const [ofPrecision, ofRecall, ofF1] = intervals.slice(first, first + CLASS_METRICS.length);
    return {
      name,
      precision,
      recall,
      f1,
      support: support[k] ?? 0,
      ...(ofPrecision && ofRecall && ofF1
        ? { intervals: { precision: ofPrecision, recall: ofRecall, f1: ofF1 } }
        : {}),
    };
  });
}

function residualsOf(
  truth: Int32Array | Float32Array,
  predictions: Float64Array,
  bootstrap: DetailBootstrap | undefined,
): EvaluationDetails['residuals'] {
  const n = predictions.length;
  if (n === 0) return null;
  const residuals = predictions.map((value, i) => value - (truth[i] ?? 0)).sort();
  /** The mean, then the pinball loss of each quantile. */
  const valuesOf = (counts?: RowCounts): Float64Array => {
    const sums = new Float64Array(1 + QUANTILES.length);
    for (let row = 0; row < n; row++) {
      const count = counts === undefined ? 1 : (counts[row] ?? 0);
      if (count === 0) continue;
      const residual = residuals[row] ?? 0;
      sums[0] = (sums[0] ?? 0) + count * residual;
      for (let at = 0; at < QUANTILES.length; at++)
        sums[at + 1] = (sums[at + 1] ?? 0) + count * pinballLoss(-residual, QUANTILES[at] ?? 0);
    }
    return sums.map((sum) => sum / n);
  };
  const [bias = 0, ...losses] = valuesOf();
  const [biasInterval, ...intervals] = bootstrap ? sampledIntervals(n, bootstrap, valuesOf) : [];
  const squares = residuals.reduce((sum, value) => sum + (value - bias) ** 2, 0);
  return {
    bias,
    ...(biasInterval ? { biasInterval } : {}),
    standardDeviation: Math.sqrt(squares / n),
    quantiles: QUANTILES.map((share) => ({ quantile: share, value: quantile(residuals, share) })),
    pinball: QUANTILES.map((share, at) => {
      const interval = intervals[at];
      return { quantile: share, loss: losses[at] ?? 0, ...(interval ? { interval } : {}) };
    }),
  };
}

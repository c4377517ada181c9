import type { EvaluationDetails } from '../../contracts/evaluation-report.ts';
import { quantile } from './bootstrap.ts';
import { CalibrationCounts, calibrationBins, calibrationLine } from './calibration.ts';
import { DEFAULT_THRESHOLD, type Problem, positiveIndex } from './judge.ts';
import { pinballLoss } from './regression-scores.ts';
import { membersOf, ratio } from './scores.ts';

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
 */
export function detailsOf(
  problem: Problem,
  labels: Int32Array | Float32Array,
  answers: Float64Array,
  threshold = DEFAULT_THRESHOLD,
): EvaluationDetails {
  if (problem.task === 'regression')
    return {
      threshold: null,
      classes: [],
      confusion: [],
      reliability: [],
      calibration: null,
      residuals: residualsOf(labels, answers),
    };
  const said = answeredClasses(problem, answers, threshold);
  const positives = problem.task === 'binary' ? membersOf(positiveIndex(problem), labels) : undefined;
  return {
    threshold: problem.task === 'binary' ? threshold : null,
    ...confusionOf(problem.classNames, labels, said),
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
  classNames: readonly string[],
  labels: Int32Array | Float32Array,
  said: Uint16Array,
): Pick<EvaluationDetails, 'classes' | 'confusion'> {
  const size = classNames.length;
  const cells = new Uint32Array(size ** 2);
  const actual = new Uint32Array(size);
  const answered = new Uint32Array(size);
  for (const [row, answer] of said.entries()) {
    const truth = labels[row] ?? 0;
    cells[truth * size + answer] = (cells[truth * size + answer] ?? 0) + 1;
    actual[truth] = (actual[truth] ?? 0) + 1;
    answered[answer] = (answered[answer] ?? 0) + 1;
  }
  const confusion: EvaluationDetails['confusion'] = [];
  for (const [cell, rows] of cells.entries())
    if (rows > 0) confusion.push({ truth: Math.floor(cell / size), answer: cell % size, rows });
  return {
    confusion,
    classes: classNames.map((name, k) => {
      const [hits, truth, answers] = [cells[k * size + k] ?? 0, actual[k] ?? 0, answered[k] ?? 0];
      return {
        name,
        precision: ratio(hits, answers),
        recall: ratio(hits, truth),
        f1: ratio(2 * hits, truth + answers),
        support: truth,
      };
    }),
  };
}

function residualsOf(
  truth: Int32Array | Float32Array,
  predictions: Float64Array,
): EvaluationDetails['residuals'] {
  const n = predictions.length;
  if (n === 0) return null;
  const residuals = predictions.map((value, i) => value - (truth[i] ?? 0)).sort();
  const bias = residuals.reduce((sum, value) => sum + value, 0) / n;
  const squares = residuals.reduce((sum, value) => sum + (value - bias) ** 2, 0);
  return {
    bias,
    standardDeviation: Math.sqrt(squares / n),
    quantiles: QUANTILES.map((share) => ({ quantile: share, value: quantile(residuals, share) })),
    pinball: QUANTILES.map((share) => ({
      quantile: share,
      loss: residuals.reduce((sum, value) => sum + pinballLoss(-value, share), 0) / n,
    })),
  };
}

import { BinaryScores } from '../statistics/binary-scores.ts';
import { calibrationBins } from '../statistics/calibration.ts';
import { type Problem, positiveIndex } from '../statistics/judge.ts';
import { membersOf } from '../statistics/scores.ts';
import { classChart, confusionChart } from './class-charts.ts';
import {
  calibrationChart,
  precisionRecallChart,
  rocChart,
  scoreChart,
  thresholdChart,
} from './evaluation-charts.ts';
import { drawn, type NamedChart, type Plot } from './plot.ts';
import { predictedActualChart, residualChart } from './regression-charts.ts';

/** Classes beyond this make a confusion matrix unreadable. */
const MAX_CONFUSION_CLASSES = 30;

/** The plots that fit a task, as SVG. Arguments as in `judge`. @param threshold of a binary model, default 0.5 */
export function evaluationPlots(
  problem: Problem,
  labels: Int32Array | Float32Array,
  predictions: Float64Array,
  threshold = 0.5,
): Promise<Plot[]> {
  switch (problem.task) {
    case 'regression':
      return drawn(regressionCharts(new Float64Array(labels), predictions));
    case 'multiclass':
      return drawn(multiclassCharts(problem.classNames, labels, predictions));
    case 'binary':
      return drawn(binaryCharts(problem, labels, predictions, threshold));
  }
}

const regressionCharts = (truth: Float64Array, predictions: Float64Array): NamedChart[] => [
  { name: 'residuals', title: 'Residuals', chart: residualChart(truth, predictions) },
  {
    name: 'predicted-actual',
    title: 'Predicted and actual',
    chart: predictedActualChart(truth, predictions),
  },
];

function binaryCharts(
  problem: Problem,
  labels: Int32Array | Float32Array,
  predictions: Float64Array,
  threshold: number,
): NamedChart[] {
  const positive = positiveIndex(problem);
  const positives = membersOf(positive, labels);
  const scores = new BinaryScores(positives, predictions);
  const curve = scores.curve();
  const names = [problem.classNames[1 - positive] ?? 'no', problem.classNames[positive] ?? 'yes'] as const;
  const decided = Float64Array.from(predictions, (probability) => (probability >= threshold ? 1 : 0));
  const counts = confusion(positives, (row) => decided[row] ?? 0, 2);
  return [
    { name: 'roc', title: 'ROC curve', chart: rocChart(curve, scores.metrics().roc_auc) },
    { name: 'precision-recall', title: 'Precision and recall', chart: precisionRecallChart(curve) },
    {
      name: 'calibration',
      title: 'Calibration',
      chart: calibrationChart(calibrationBins(positives, predictions)),
    },
    {
      name: 'scores',
      title: 'Predicted probabilities',
      chart: scoreChart(predictions, positives, { negative: names[0], positive: names[1] }),
    },
    {
      name: 'threshold',
      title: 'What each threshold gives',
      chart: thresholdChart(curve, distinct(predictions), threshold),
    },
    { name: 'confusion', title: 'Confusion matrix', chart: confusionChart(names, counts) },
  ];
}

function multiclassCharts(
  classNames: readonly string[],
  labels: Int32Array | Float32Array,
  predictions: Float64Array,
): NamedChart[] {
  const size = classNames.length;
  const likeliest = (row: number): number => {
    let best = 0;
    for (let k = 1; k < size; k++)
      if ((predictions[row * size + k] ?? 0) > (predictions[row * size + best] ?? 0)) best = k;
    return best;
  };
  const sure = Float64Array.from(labels, (_, row) => predictions[row * size + likeliest(row)] ?? 0);
  const right = Uint8Array.from(labels, (label, row) => (likeliest(row) === label ? 1 : 0));
  const calibration: NamedChart = {
    name: 'calibration',
    title: 'Calibration of the likeliest class',
    chart: calibrationChart(calibrationBins(right, sure)),
  };
  if (size > MAX_CONFUSION_CLASSES) return [calibration];
  const counts = confusion(labels, likeliest, size);
  return [
    { name: 'confusion', title: 'Confusion matrix', chart: confusionChart(classNames, counts) },
    { name: 'classes', title: 'Each class', chart: classChart(classNames, counts) },
    calibration,
  ];
}

/** The different values, from high to low: those of the points of a ranking curve. */
function distinct(values: Float64Array): Float64Array {
  const descending = values.slice().sort().reverse();
  return descending.filter((value, i) => i === 0 || value !== descending[i - 1]);
}

/** Rows by actual and predicted class, row-major. */
function confusion(labels: ArrayLike<number>, predicted: (row: number) => number, size: number): number[] {
  const counts = new Array<number>(size * size).fill(0);
  for (let row = 0; row < labels.length; row++) {
    const cell = (labels[row] ?? 0) * size + predicted(row);
    counts[cell] = (counts[cell] ?? 0) + 1;
  }
  return counts;
}

import { BinaryScores } from '../statistics/binary-scores.ts';
import { calibrationBins } from '../statistics/calibration.ts';
import { type Problem, positiveIndex } from '../statistics/judge.ts';
import { membersOf } from '../statistics/scores.ts';
import {
  calibrationChart,
  confusionChart,
  precisionRecallChart,
  residualChart,
  rocChart,
} from './evaluation-charts.ts';

/** Classes beyond this make a confusion matrix unreadable. */
const MAX_CONFUSION_CLASSES = 30;

/** The plots that fit a task, as SVG. Arguments as in `judge`. */
export function evaluationPlots(
  problem: Problem,
  labels: Int32Array | Float32Array,
  predictions: Float64Array,
): { name: string; title: string; svg: string }[] {
  if (problem.task === 'regression')
    return [
      { name: 'residuals', title: 'Residuals', svg: residualChart(new Float64Array(labels), predictions) },
    ];
  if (problem.task === 'multiclass') {
    const size = problem.classNames.length;
    if (size > MAX_CONFUSION_CLASSES) return [];
    return [
      {
        name: 'confusion',
        title: 'Confusion matrix',
        svg: confusionChart(problem.classNames, confusion(labels, predictions, size)),
      },
    ];
  }
  const positive = positiveIndex(problem);
  const positives = membersOf(positive, labels);
  const scores = new BinaryScores(positives, predictions);
  const curve = scores.curve();
  return [
    { name: 'roc', title: 'ROC curve', svg: rocChart(curve, scores.metrics().roc_auc) },
    { name: 'precision-recall', title: 'Precision and recall', svg: precisionRecallChart(curve) },
    {
      name: 'calibration',
      title: 'Calibration',
      svg: calibrationChart(calibrationBins(positives, predictions)),
    },
  ];
}

function confusion(labels: Int32Array | Float32Array, predictions: Float64Array, size: number): number[] {
  const counts = new Array<number>(size * size).fill(0);
  for (let i = 0; i < labels.length; i++) {
    let best = 0;
    for (let k = 1; k < size; k++)
      if ((predictions[i * size + k] ?? 0) > (predictions[i * size + best] ?? 0)) best = k;
    const cell = (labels[i] ?? 0) * size + best;
    counts[cell] = (counts[cell] ?? 0) + 1;
  }
  return counts;
}

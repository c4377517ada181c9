import type { ThresholdMetric } from '../../contracts/spec/training.ts';
import { ratio } from './scores.ts';

/** How many rows were decided rightly and wrongly at a threshold. */
export interface Decisions {
  /** True positives: positive, and said so. */
  tp: number;
  fp: number;
  fn: number;
  tn: number;
}

/** The metrics of a binary classifier that depend on the threshold, as scikit-learn has them. */
export function decisionMetrics({ tp, fp, fn, tn }: Decisions): Record<ThresholdMetric, number> {
  return {
    accuracy: (tp + tn) / (tp + fp + fn + tn),
    // As scikit-learn has it, undefined where a class has no row.
    balanced_accuracy: (tp / (tp + fn) + tn / (fp + tn)) / 2,
    precision: ratio(tp, tp + fp),
    recall: ratio(tp, tp + fn),
    f1: ratio(2 * tp, 2 * tp + fp + fn),
    matthews_corrcoef: ratio(tp * tn - fp * fn, Math.sqrt((tp + fp) * (tp + fn) * (fp + tn) * (tn + fn))),
  };
}

import type { Task } from '../../contracts/spec/task.ts';
import { fitScaling, type Scaling } from './scaling.ts';
import type { Fold } from './training-data.ts';

/** A loss summed over rows, with the weights it was summed with: `sum / weight` is the mean. */
export interface LossSum {
  sum: number;
  weight: number;
}

/** What is minimised: log loss over the softmax of the outputs, or the squared error on the scaled target. */
export interface Objective {
  /** Units of the last layer. */
  outputs: number;
  /** The metric's name: `log_loss`, or `rmse` in the target's own unit. */
  metric: 'log_loss' | 'rmse';
  /** Target = output / inverse + mean; absent for classes. */
  target?: Scaling;
  /**
   * Adds the rows' losses to `total`; where `slopes` is given, fills it with the derivative of the batch's mean loss.
   *
   * @param outputs the last layer's values `[rows, outputs]`
   */
  score(fold: Fold, rows: Uint32Array, outputs: Float32Array, total: LossSum, slopes?: Float32Array): void;
  /** The metric from the sums. */
  metricOf(total: LossSum): number;
}

/** The objective of a task, fitted (for numbers) to the training labels. */
export function objectiveOf(task: Task, classes: number, train: Fold): Objective {
  return task === 'regression' ? squaredError(fitScaling(train.labels, 1)) : crossEntropy(classes);
}

function crossEntropy(classes: number): Objective {
  return {
    outputs: classes,
    metric: 'log_loss',
    score(fold, rows, outputs, total, slopes) {
      const mean = 1 / weightOf(fold, rows);
      rows.forEach((row, index) => {
        const logits = outputs.subarray(index * classes, (index + 1) * classes);
        const weight = fold.weights[row] ?? 0;
        const label = fold.labels[row] ?? 0;
        const highest = Math.max(...logits);
        let powers = 0;
        for (const logit of logits) powers += Math.exp(logit - highest);
        total.sum += weight * (Math.log(powers) + highest - (logits[label] ?? 0));
        total.weight += weight;
        if (!slopes) return;
        for (let column = 0; column < classes; column++) {
          const probability = Math.exp((logits[column] ?? 0) - highest) / powers;
          slopes[index * classes + column] = weight * mean * (probability - (column === label ? 1 : 0));
        }
      });
    },
    metricOf: ({ sum, weight }) => sum / weight,
  };
}

function squaredError(target: Scaling): Objective {
  const center = target.mean[0] ?? 0;
  const inverse = target.inverse[0] ?? 1;
  return {
    outputs: 1,
    metric: 'rmse',
    target,
    score(fold, rows, outputs, total, slopes) {
      const mean = 1 / weightOf(fold, rows);
      rows.forEach((row, index) => {
        const weight = fold.weights[row] ?? 0;
        const error = (outputs[index] ?? 0) - ((fold.labels[row] ?? 0) - center) * inverse;
        total.sum += weight * error * error;
        total.weight += weight;
        if (slopes) slopes[index] = 2 * weight * mean * error;
      });
    },
    metricOf: ({ sum, weight }) => Math.sqrt(sum / weight) / inverse,
  };
}

/** A batch of rows without weight has no gradient; the smallest number avoids 0 / 0. */
function weightOf(fold: Fold, rows: Uint32Array): number {
  let sum = 0;
  for (const row of rows) sum += fold.weights[row] ?? 0;
  return Math.max(sum, Number.MIN_VALUE * 2 ** 60);
}

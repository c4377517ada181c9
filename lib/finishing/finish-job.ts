import { z } from 'zod';
import { calibration, chosenThreshold, combination } from '../../contracts/finishing.ts';
import type { EnsembleSpec, TrainingSpec } from '../../contracts/spec/training.ts';
import { applyCalibration } from '../statistics/calibrated.ts';
import { fitCalibration } from '../statistics/calibration-fit.ts';
import { applyCombination } from '../statistics/combined.ts';
import type { Problem } from '../statistics/judge.ts';
import { fitStack } from '../statistics/stack-fit.ts';
import { chooseThreshold } from '../statistics/threshold.ts';

/** Answers of models for rows that they were not trained on, and what is to be fitted to them. */
export interface FinishQuestion {
  problem: Problem;
  labels: Int32Array | Float32Array;
  /** Of each member: binary the positive class `[n]`, multi-class `[n, classes]`, regression `[n]`. */
  answers: Float64Array[];
  method: EnsembleSpec['method'];
  training: Pick<TrainingSpec, 'calibration' | 'threshold'>;
}

/** How the members become the model that is served. */
export const finishing = z.strictObject({
  combination,
  calibration: calibration.nullable(),
  threshold: chosenThreshold.nullable(),
});
export type Finishing = z.infer<typeof finishing>;

/** Fits, in this order, the combination, the calibration of its answers, and the threshold of the calibrated ones. */
export function finishingOf({ problem, labels, answers, method, training }: FinishQuestion): Finishing {
  const { task, classNames } = problem;
  const classes = labels instanceof Int32Array ? labels : new Int32Array();
  const together =
    method === 'stack' && answers.length > 1
      ? fitStack(problem, labels, answers)
      : { method: 'average' as const };
  const joined = applyCombination(together, task, classNames.length, answers);
  const fitted =
    training.calibration === 'none' || task === 'regression'
      ? null
      : fitCalibration(training.calibration, problem, classes, joined);
  const calibrated = fitted ? applyCalibration(fitted, joined) : joined;
  return {
    combination: together,
    calibration: fitted,
    threshold: task === 'binary' ? chooseThreshold(training.threshold, problem, classes, calibrated) : null,
  };
}

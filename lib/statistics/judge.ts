import { PerennialError } from '../../contracts/errors.ts';
import type { Task } from '../../contracts/spec/task.ts';
import type { SplitOutput } from '../../contracts/stages.ts';
import { BinaryScores } from './binary-scores.ts';
import { MulticlassScores } from './multiclass-scores.ts';
import { requireProbabilities } from './probabilities.ts';
import { RegressionScores } from './regression-scores.ts';
import { membersOf, type Scores } from './scores.ts';

/** What the predictions are of; `quantile` is the one that `mean_pinball_loss` judges, by default 0.5. */
export type Problem = { task: Task; quantile?: number } & Pick<
  SplitOutput,
  'classNames' | 'positiveClass' | 'baseline'
>;

/** From which probability on the answer is the positive class, where nobody chose. */
export const DEFAULT_THRESHOLD = 0.5;

/** What of a problem says which column of the answers means what. */
export type Classes = Pick<Problem, 'task' | 'classNames' | 'positiveClass'>;

/** Index of the positive class; `1` where the task has none. */
export const positiveIndex = ({ classNames, positiveClass }: Omit<Classes, 'task'>): number =>
  positiveClass === null ? 1 : classNames.indexOf(positiveClass);

/**
 * The answers of a model held against the truth.
 *
 * @param labels class indices or numbers, `[n]`
 * @param answers binary: probability of the positive class `[n]`; multiclass: row-major `[n, classes]`; regression: `[n]`
 * @param threshold binary: from which probability on the answer is the positive class
 * @throws PerennialError `StageFailed` where an answer is no finite number, `TrainerContract` where those of a
 *   classification are no probabilities
 */
export function scoresOf(
  problem: Problem,
  labels: Int32Array | Float32Array,
  answers: Float32Array | Float64Array,
  threshold = DEFAULT_THRESHOLD,
): Scores {
  const predictions = answers instanceof Float64Array ? answers : new Float64Array(answers);
  const odd = predictions.reduce((count, answer) => (Number.isFinite(answer) ? count : count + 1), 0);
  if (odd > 0)
    throw new PerennialError(
      'StageFailed',
      `the model's answer is no finite number ${odd} times of ${predictions.length}, so that it cannot be judged`,
    );
  if (problem.task !== 'regression')
    requireProbabilities(predictions, problem.task === 'binary' ? 1 : problem.classNames.length);
  switch (problem.task) {
    case 'binary':
      return new BinaryScores(membersOf(positiveIndex(problem), labels), predictions, threshold);
    case 'multiclass':
      return new MulticlassScores(new Int32Array(labels), problem.classNames.length, predictions);
    case 'regression':
      return new RegressionScores(new Float64Array(labels), predictions, problem.quantile);
  }
}

/** What a model that has learned nothing but the base rates (or the mean) of the training rows predicts for `rows` rows. */
export function trivialPredictions(problem: Problem, rows: number): Float64Array {
  const { classShares, mean } = problem.baseline;
  switch (problem.task) {
    case 'binary':
      return new Float64Array(rows).fill(classShares[positiveIndex(problem)] ?? 0);
    case 'multiclass':
      return Float64Array.from(
        { length: rows * classShares.length },
        (_, i) => classShares[i % classShares.length] ?? 0,
      );
    case 'regression':
      return new Float64Array(rows).fill(mean ?? 0);
  }
}

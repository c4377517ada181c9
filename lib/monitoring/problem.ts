import type { Task } from '../../contracts/spec/task.ts';
import type { SplitOutput } from '../../contracts/stages.ts';
import { probabilityNames } from '../onnx/output-names.ts';

/** What a watched model predicts. */
export interface WatchedProblem extends Pick<SplitOutput, 'classNames' | 'positiveClass'> {
  task: Task;
  /** Binary: from which probability on the answer is the positive class; default 0.5. */
  threshold?: number | undefined;
  /** Regression: the quantile that `mean_pinball_loss` judges; default 0.5. */
  quantile?: number | undefined;
}

/** Names of the outputs that metrics are computed from, in their order. */
export function answerNames({ task, classNames }: WatchedProblem): string[] {
  switch (task) {
    case 'binary':
      return ['probability'];
    case 'multiclass':
      return probabilityNames(classNames);
    case 'regression':
      return ['prediction'];
  }
}

import type { TrainerName } from './candidates.ts';
import type { SearchSpace } from './search.ts';
import type { Task } from './task.ts';

export function defaultSpace(trainer: TrainerName, _task: Task): SearchSpace {
  if (trainer === 'lightgbm')
    return { num_leaves: { int: [8, 255], log: true }, learning_rate: { float: [0.01, 0.3], log: true } };
  return trainer === 'logistic' ? { C: { float: [0.001, 100], log: true } } : {};
}

import type { Candidate } from './candidates.ts';
import type { Task } from './task.ts';
import { THRESHOLD_METRICS, type TrainingSpec, unknownResources } from './training.ts';

/** What the candidates and the training of a spec must fit. */
interface Whole {
  task: Task;
  candidates?: Candidate[] | undefined;
  training: TrainingSpec;
  columns: { timestamp?: string | undefined };
}

interface Issue {
  path: PropertyKey[];
  message: string;
}

/** What does not go together in `candidates` and `training`, each with the remedy. */
export function trainingIssues({ task, candidates = [], training, columns }: Whole): Issue[] {
  const issues: Issue[] = [];
  const training_ = (key: keyof TrainingSpec, message: string) =>
    issues.push({ path: ['training', key], message });
  for (const [index, { trainer }] of candidates.entries())
    if (trainer === (task === 'regression' ? 'logistic' : 'linear'))
      issues.push({
        path: ['candidates', index, 'trainer'],
        message: `${trainer} does not fit task ${task}; use ${trainer === 'linear' ? 'logistic' : 'linear'}`,
      });
  for (const { index, name } of unknownResources(candidates, training))
    issues.push({
      path: ['candidates', index, 'resource'],
      message: `training.resources has no class ${name}; describe it there`,
    });
  if (training.ensemble && candidates.some(({ name }) => name === 'ensemble'))
    training_('ensemble', 'a candidate is called ensemble already; give it another name');
  const { crossValidation, classWeights, calibration, threshold, ensemble, budget, resources } = training;
  if (budget.cost !== undefined && !Object.values(resources).some(({ price }) => price > 0))
    training_('budget', 'cost needs a price: training.resources.NAME.price, per hour of that class');
  if (crossValidation?.method === 'time' && !columns.timestamp)
    training_('crossValidation', 'method time needs columns.timestamp');
  if (training.ageWeights !== undefined && !columns.timestamp)
    training_('ageWeights', 'the age of a row is told by columns.timestamp, which is not there; name it');
  if (crossValidation?.method === 'stratified' && !crossValidation.by && task === 'regression')
    training_('crossValidation', 'method stratified needs by: the columns whose values are the strata');
  if (classWeights !== undefined && task === 'regression')
    training_('classWeights', 'a regression has no classes; leave it out');
  if (calibration !== 'none' && task === 'regression')
    training_('calibration', 'a regression has no probabilities; leave it out');
  if (threshold !== 0.5 && task !== 'binary')
    training_('threshold', 'only task binary has a threshold; leave it out');
  if (typeof threshold === 'object' && 'maximize' in threshold) {
    const allowed: readonly string[] = THRESHOLD_METRICS;
    if (!allowed.includes(threshold.maximize))
      training_(
        'threshold',
        `${threshold.maximize} does not depend on the threshold; use one of ${allowed.join(', ')}`,
      );
  }
  if (ensemble?.method === 'stack' && !crossValidation)
    training_('ensemble', 'method stack needs training.crossValidation: it is fitted on out-of-fold answers');
  return issues;
}

import { WORKFLOW_TYPES } from '../../contracts/names.ts';
import { candidate } from '../../contracts/spec/candidates.ts';
import { pipelineSpec } from '../../contracts/spec/pipeline.ts';
import { trainingSpec } from '../../contracts/spec/training.ts';
import type { TrainOutput } from '../../contracts/stages.ts';
import type { TrainingActivities, TrainingInput } from '../../contracts/training-activities.ts';
import { parts, prepared, smallSpec, tracking, trainedTrial } from './samples.ts';
import type { Scenario } from './scenario.ts';
import type { WorkflowBench } from './workflow-bench.ts';

export type CandidateInput = Parameters<typeof candidate.parse>[0];

/** The argument of workflow `training`. */
export const trainingInput = (candidates: CandidateInput[], training: object = {}): TrainingInput => ({
  candidates: candidates.map((one) => candidate.parse(one)),
  task: 'binary',
  target: 'churned',
  pipeline: { name: 'churn', privacy: pipelineSpec.parse(smallSpec()).privacy },
  metric: 'roc_auc',
  training: trainingSpec.parse({ seed: 1, threads: 1, timeout: '1m', ...training }),
  split: parts,
  prepared,
  tracking,
  run: { workflowId: 'w', runId: 'r' },
});

/** A candidate that is trained once. */
export const once = (name: string): CandidateInput => ({ name, trainer: 'logistic', search: false });

/** A candidate `a` that is searched. */
export const searched = (search: object): CandidateInput => ({
  name: 'a',
  trainer: 'logistic',
  search: { space: { C: { float: [0.001, 100], log: true } }, ...search },
});

/** Starts workflow `training` in a scenario. */
export const startTraining = (bench: WorkflowBench, scenario: Scenario, argument: TrainingInput) =>
  bench.client.workflow.start<(argument: TrainingInput) => Promise<TrainOutput>>(WORKFLOW_TYPES.training, {
    workflowId: scenario.id,
    taskQueue: bench.taskQueue,
    args: [argument],
  });

/** A trial that is the better the nearer C is to 1. */
export const nearOne: TrainingActivities['trainTrial'] = async ({
  parameters,
  candidate: { name, trainer },
}) => {
  const C = Number(parameters.C ?? 10);
  return {
    ...trainedTrial(name, trainer),
    validation: { roc_auc: 0.9 - Math.abs(Math.log10(C)) / 10 },
    parameters: { C, tol: 0.1 },
  };
};

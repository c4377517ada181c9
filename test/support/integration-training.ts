import type { RunIdentity, Tracking } from '../../contracts/run.ts';
import { type Candidate, presetOf } from '../../contracts/spec/candidates.ts';
import type { PipelineSpec } from '../../contracts/spec/pipeline.ts';
import type { PrepareOutput, SplitOutput, TrainedCandidate, TrainOutput } from '../../contracts/stages.ts';
import type { FinishInput, TrialInput } from '../../contracts/training-activities.ts';
import type { TrialOutcome } from '../../contracts/trials.ts';
import { preparedFor } from '../../domain/prepared-features.ts';

/** What a training works on. */
export interface TrainingGround {
  spec: PipelineSpec;
  split: SplitOutput;
  prepared: PrepareOutput;
  tracking: Tracking;
  run: RunIdentity;
}

const problemOf = ({ spec, split }: TrainingGround): TrialInput['problem'] => ({
  task: spec.task,
  classNames: split.classNames,
  positiveClass: split.positiveClass,
  baseline: split.baseline,
  sensitive: split.sensitive,
});

/** A first trial of a candidate, as the workflow would ask for it. */
export function trialInput(ground: TrainingGround, candidate: Candidate): TrialInput {
  const { featureNames, train, validation } = preparedFor(ground.prepared, presetOf(candidate));
  return {
    trial: { candidate: candidate.name, number: 0, fold: null },
    candidate,
    parameters: candidate.parameters,
    maxSeconds: null,
    rungs: [],
    metric: ground.spec.evaluation.metric,
    problem: problemOf(ground),
    pipeline: ground.spec,
    training: ground.spec.training,
    data: { featureNames, train, validation },
    tracking: ground.tracking,
    run: ground.run,
  };
}

/** The making of the model of that trial. */
export function finishInput(
  ground: TrainingGround,
  candidate: Candidate,
  outcome: TrialOutcome,
): FinishInput {
  return {
    name: candidate.name,
    members: [
      {
        candidate: candidate.name,
        number: 0,
        trainer: candidate.trainer,
        features: presetOf(candidate),
        outcome,
        folds: [],
      },
    ],
    method: 'average',
    problem: problemOf(ground),
    target: ground.spec.columns.target,
    training: ground.spec.training,
    split: { validation: ground.split.validation },
    prepared: ground.prepared,
    tracking: ground.tracking,
    run: ground.run,
  };
}

/** What the stage gives where each candidate had one trial. */
export const trainOutput = (spec: PipelineSpec, trained: TrainedCandidate[]): TrainOutput => ({
  trained,
  failed: [],
  search: {
    metric: spec.evaluation.metric,
    ended: 'trials',
    used: { trials: trained.length, seconds: 1, cost: 0 },
    candidates: trained.map(({ name, validation }) => ({
      name,
      trained: 1,
      stopped: 0,
      failed: 0,
      best: validation[spec.evaluation.metric] ?? null,
    })),
    trials: [],
    notes: [],
  },
});

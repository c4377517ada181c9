import type { ArtifactRef } from '../contracts/refs.ts';
import type { Candidate } from '../contracts/spec/candidates.ts';
import type { Parameters } from '../contracts/spec/search.ts';
import type { Task } from '../contracts/spec/task.ts';
import type { TrainingSpec } from '../contracts/spec/training.ts';
import type { PreparedFeatures } from '../contracts/stages.ts';
import type { RemoteTrainerRequest } from '../contracts/trainer.ts';

/** What a training by somebody's own activity is made of. */
export interface RemoteTraining {
  candidate: Pick<Candidate, 'name' | 'maxIterations'>;
  task: Task;
  split: { classNames: string[] };
  training: Pick<TrainingSpec, 'seed' | 'threads'>;
  /** Of the candidate's preset: `preparedFor(prepared, presetOf(candidate))`. */
  prepared: Pick<PreparedFeatures, 'train' | 'validation' | 'featureNames'>;
  /** Of the trial: those that the candidate fixes and those that were proposed. */
  parameters: Parameters;
  /** Where rows count differently. */
  weights?: { train?: ArtifactRef; validation?: ArtifactRef };
  maxSeconds?: number;
}

/** The argument of the activity. Pure, so a workflow can make it. */
export function remoteRequest({
  candidate,
  task,
  split,
  training,
  prepared,
  parameters,
  weights = {},
  maxSeconds,
}: RemoteTraining): RemoteTrainerRequest {
  const part = (name: 'train' | 'validation') => {
    const { features, labels } = prepared[name];
    const own = weights[name];
    return { features, labels, ...(own ? { weights: own } : {}) };
  };
  return {
    schemaVersion: 1,
    task,
    candidate: candidate.name,
    train: part('train'),
    validation: part('validation'),
    featureNames: prepared.featureNames,
    classNames: split.classNames,
    parameters,
    seed: training.seed,
    threads: training.threads,
    maxIterations: candidate.maxIterations,
    ...(maxSeconds === undefined ? {} : { maxSeconds }),
  };
}

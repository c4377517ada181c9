import type { ArtifactRef } from './refs.ts';
import type { RunIdentity, Tracking } from './run.ts';
import type { Candidate } from './spec/candidates.ts';
import type { MetricName } from './spec/evaluation.ts';
import type { FeaturePreset } from './spec/features.ts';
import type { PipelineSpec } from './spec/pipeline.ts';
import type { Parameters } from './spec/search.ts';
import type { EnsembleSpec, TrainingSpec } from './spec/training.ts';
import type { PreparedFeatures, PrepareOutput, SplitOutput, TrainedCandidate } from './stages.ts';
import type { RemoteTrainerRequest } from './trainer.ts';
import type { ProposalQuestion, SearchProgress, TrialName, TrialOutcome } from './trials.ts';

/** Activities of the training part. */
export interface TrainingActivities {
  /** Trains once on one pair of training and validation rows, and judges the model on the latter. */
  trainTrial(input: TrialInput): Promise<TrialOutcome>;
  /** Asks the estimator for the next parameters. */
  proposeTrials(input: ProposalQuestion): Promise<{ proposals: Parameters[] }>;
  /** What a trainer that is an activity of somebody's own worker is asked; its artifacts can be read there. */
  openRemoteTrial(input: TrialInput): Promise<{ request: RemoteTrainerRequest }>;
  /** Judges the model that such an activity gave. @param input.seconds that it took */
  judgeRemoteTrial(input: { trial: TrialInput; answer: unknown; seconds: number }): Promise<TrialOutcome>;
  /** Makes the model that is served of the best trials, and judges it on the validation split. */
  finishCandidate(input: FinishInput): Promise<TrainedCandidate>;
}

/** What trials need to know of the rows. */
export type TrialProblem = Pick<SplitOutput, 'classNames' | 'positiveClass' | 'baseline' | 'sensitive'> & {
  task: PipelineSpec['task'];
};

/** A training on one pair of training and validation rows. */
export interface TrialInput {
  /** `fold` counts from 0; `null`: on the split. */
  trial: TrialName & { fold: number | null };
  candidate: Candidate;
  /** Fixed and searched ones; the trainer has defaults for the rest. */
  parameters: Parameters;
  /** Seconds after which the trainer ends with the best that it has; `null`: no limit. */
  maxSeconds: number | null;
  /** Iterations at which the workflow is asked whether to go on. */
  rungs: number[];
  metric: MetricName;
  problem: TrialProblem;
  pipeline: PipelineOfRows;
  training: Pick<TrainingSpec, 'seed' | 'threads' | 'memory' | 'classWeights'>;
  data: TrialData;
  tracking: Tracking;
  run: RunIdentity;
}

/** Feature matrices of a fold or of the split. */
export type TrialData = Pick<PreparedFeatures, 'featureNames' | 'train' | 'validation'>;

/** What the catalogue of rows, which erasures go by, has to know of a pipeline. */
export type PipelineOfRows = Pick<PipelineSpec, 'name' | 'privacy'>;

/** A trial that was chosen, with what it was made from. */
export interface ChosenTrial extends TrialName {
  trainer: string;
  features: FeaturePreset;
  /** On the split. */
  outcome: TrialOutcome;
  /** With cross-validation: labels and answers of each fold's validation rows. */
  folds: { labels: ArtifactRef; answers: ArtifactRef }[];
}

/** One trial, or several that are joined into one model. */
export interface FinishInput {
  /** Of the candidate, or `ensemble`. */
  name: string;
  members: ChosenTrial[];
  method: EnsembleSpec['method'];
  problem: TrialProblem;
  target: string;
  training: Pick<TrainingSpec, 'calibration' | 'threshold' | 'threads'>;
  split: Pick<SplitOutput, 'validation'>;
  prepared: PrepareOutput;
  tracking: Tracking;
  run: RunIdentity;
}

/** The argument of workflow type `training`. */
export interface TrainingInput {
  candidates: Candidate[];
  task: PipelineSpec['task'];
  target: string;
  pipeline: PipelineOfRows;
  /** Chooses among trials and candidates. */
  metric: MetricName;
  training: TrainingSpec;
  split: SplitOutput;
  prepared: PrepareOutput;
  tracking: Tracking;
  run: RunIdentity;
  /** Trials after which the workflow goes on as new, at the latest; default 500. */
  continueAfter?: number | undefined;
  /** What earlier runs of this workflow have done; left out by whoever starts it. */
  progress?: SearchProgress | undefined;
}

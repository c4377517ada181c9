import type { BacktestRequest, PolicySummary } from './backtest.ts';
import type { ObservedWindow } from './monitoring.ts';
import type { ArtifactRef, TableRef } from './refs.ts';
import type { LoadableModel } from './registered-version.ts';
import type { RetrainingRun } from './retraining.ts';
import type { RunIdentity, Tracking } from './run.ts';
import type { MonitoringSpec } from './spec/monitoring.ts';
import type { PipelineSpec } from './spec/pipeline.ts';
import type { EvaluateOutput, SplitOutput } from './stages.ts';

/** A spec that says how its endpoint is watched. */
export type WatchedSpec = PipelineSpec & { monitoring: MonitoringSpec };

/** What a back-test goes through. */
export interface BacktestPlan {
  /** For the stages of a training. */
  spec: WatchedSpec;
  /** `backtestSettings`: what all other activities go by. */
  settings: ArtifactRef;
  /** How many. */
  windows: number;
  tracking: Tracking;
}

/** A model of the past. */
export interface NamedModel {
  /** The moment as of which it was trained. */
  name: string;
  /** `backtestModel`. */
  model: ArtifactRef;
}

/** What is to be measured at the end of a window. */
export interface BacktestQuestion {
  window: ObservedWindow;
  /** The model in production. */
  model: NamedModel;
  /** The part of the past whose truth has come, and who answered then, in the order of time. */
  labelled: {
    window: ObservedWindow;
    parts: {
      model: NamedModel;
      from: string;
      before: string;
      /** From when on this model has answered. */
      since: string;
    }[];
  } | null;
}

/** A run of a policy, ended. */
export interface EndedTraining {
  outcome: Extract<NonNullable<RetrainingRun['outcome']>, 'deployed' | 'gates_failed' | 'failed'>;
  message: string;
  /** `null`: none was trained. */
  model: NamedModel | null;
  seconds: number;
  cost: number;
}

/** A policy goes on by what was measured, or by a run that has ended. */
export interface PolicyAdvance {
  settings: ArtifactRef;
  /** Index of the policy. */
  policy: number;
  /** `policyPlace`; `null`: at the beginning, with this model. */
  place: ArtifactRef | null;
  first: NamedModel;
  /** `backtestVerdicts` of the windows that were to be measured, in their order. */
  observed: ArtifactRef[];
  ended: EndedTraining | null;
}

/** Where a policy stands now. */
export interface PolicyAdvanced {
  /** `policyPlace`. */
  place: ArtifactRef;
  /** Windows that it has gone through. */
  done: number;
  /** Runs that have ended. */
  runs: number;
  /** The run that begins now; as long as it goes on, nothing is to be measured. */
  training: { asOf: string; champion: NamedModel } | null;
  /** What is to be measured next; nothing: it has gone through all windows. */
  questions: BacktestQuestion[];
}

/** Activities of workflow `backtest`. Each of them answers in a few kilobytes. */
export interface BacktestActivities {
  planBacktest(input: { request: BacktestRequest; run: RunIdentity }): Promise<BacktestPlan>;
  /** Makes a trained model ready to be measured: its answers, and its reference. */
  openBacktestModel(input: {
    settings: ArtifactRef;
    /** The moment as of which it was trained; rows from then on are scored. */
    name: string;
    table: TableRef;
    split: SplitOutput;
    evaluate: Pick<EvaluateOutput, 'winner' | 'signature'>;
    to: string;
  }): Promise<NamedModel>;
  /** A model as others are judged against it. */
  loadBacktestModel(input: NamedModel): Promise<{ model: LoadableModel }>;
  /** What a monitor would have said at the end of a window: `backtestVerdicts`. */
  observeBacktest(input: {
    settings: ArtifactRef;
    question: BacktestQuestion;
  }): Promise<{ verdicts: ArtifactRef }>;
  /** Decides by the rules of the live workflows, up to where a run begins or something is to be measured. */
  advanceBacktest(input: PolicyAdvance): Promise<PolicyAdvanced>;
  /** How the models of a policy did in their windows, by all the truth: a policy as it came out. */
  judgeBacktest(input: {
    settings: ArtifactRef;
    policy: number;
    place: ArtifactRef;
  }): Promise<{ outcome: ArtifactRef }>;
  /** Writes the report as JSON and as a page, and closes the MLflow run. */
  closeBacktest(input: {
    settings: ArtifactRef;
    from: string;
    to: string;
    firstModelFailed: string[];
    tracking: Tracking;
    /** Policies as they came out. */
    outcomes: ArtifactRef[];
  }): Promise<{
    policies: PolicySummary[];
    advice: string;
    report: ArtifactRef;
    page: ArtifactRef;
  }>;
}

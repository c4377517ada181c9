import type { BacktestRequest, PolicyOutcome } from './backtest.ts';
import type { MetricValues } from './evaluation-report.ts';
import type { ObservedWindow, Verdict } from './monitoring.ts';
import type { ArtifactRef, TableRef } from './refs.ts';
import type { LoadableModel } from './registered-version.ts';
import type { RunIdentity, Tracking } from './run.ts';
import type { MonitoringSpec } from './spec/monitoring.ts';
import type { PipelineSpec } from './spec/pipeline.ts';
import type { EvaluateOutput, SplitOutput } from './stages.ts';

/** A spec that says how its endpoint is watched. */
export type WatchedSpec = PipelineSpec & { monitoring: MonitoringSpec };

/** What a back-test goes through. */
export interface BacktestPlan {
  spec: WatchedSpec;
  windows: ObservedWindow[];
  /** For each policy, in their order, when its schedule starts a run. */
  scheduled: string[][];
  /** How many windows later the truth about one is known. */
  delayWindows: number;
  tracking: Tracking;
}

/** A model of the past as windows are measured with it. */
export interface BacktestModel {
  /** The moment as of which it was trained. */
  name: string;
  model: LoadableModel;
  /** Its answers for all rows from then on, in time order, in the columns of the view `labelled`. */
  scored: ArtifactRef;
  /** `referenceProfile` of its own training and test rows. */
  reference: ArtifactRef;
}

/** A window as it came out. */
export interface JudgedWindow {
  rows: number;
  labels: number;
  quality: MetricValues;
  bad: boolean | null;
}

/** Activities of workflow `backtest`. */
export interface BacktestActivities {
  planBacktest(input: { request: BacktestRequest; run: RunIdentity }): Promise<BacktestPlan>;
  /** Makes a trained model ready to be measured: its answers, and its reference. */
  openBacktestModel(input: {
    spec: PipelineSpec;
    name: string;
    table: TableRef;
    split: SplitOutput;
    evaluate: Pick<EvaluateOutput, 'winner' | 'signature'>;
    /** Rows from this moment on are scored. */
    from: string;
    to: string;
  }): Promise<BacktestModel>;
  /** What a monitor would have said at the end of a window. */
  observeBacktest(input: {
    spec: WatchedSpec;
    model: BacktestModel;
    window: ObservedWindow;
    labelled: { window: ObservedWindow; model: BacktestModel } | null;
  }): Promise<{ verdicts: Verdict[] }>;
  /** How a model did in each of some windows, by all the truth. */
  judgeBacktest(input: {
    spec: WatchedSpec;
    model: BacktestModel;
    windows: ObservedWindow[];
  }): Promise<{ windows: JudgedWindow[] }>;
  /** Writes the report as JSON and as a page, and closes the MLflow run. */
  closeBacktest(input: {
    request: BacktestRequest;
    spec: WatchedSpec;
    tracking: Tracking;
    policies: PolicyOutcome[];
    advice: string;
  }): Promise<{ report: ArtifactRef; page: ArtifactRef }>;
}

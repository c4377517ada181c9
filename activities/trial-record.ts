import { stat } from 'node:fs/promises';
import type { TrialInput } from '../contracts/training-activities.ts';
import { type TrialOutcome, trialLabel } from '../contracts/trials.ts';
import type { MetricInput, MlflowClient } from '../packages/mlflow-client-ts/src/index.ts';
import type { ActivityFrame } from './frame.ts';
import { findOrCreateRun, type OpenRun } from './mlflow-runs.ts';
import { throughOutages } from './tracker-outage.ts';

const FLUSH_MS = 1_000;
const STDERR_ARTIFACT = 'trainer-stderr.txt';
/** How long the words of a failed trainer may take: the failure itself waits for them. */
const STDERR_MS = 10_000;

const isFilled = async (path: string): Promise<boolean> =>
  ((await stat(path).catch(() => undefined))?.size ?? 0) > 0;

/** What the run of a trial tells of it. */
type RecordedTrial = Pick<TrialInput, 'trial' | 'candidate' | 'parameters' | 'tracking' | 'run'> & {
  training: Pick<TrialInput['training'], 'seed'>;
};

type RecordFrame = Pick<ActivityFrame, 'attempt' | 'signal' | 'warn'>;

/**
 * The MLflow run of one trial, a child of the lifecycle's run: metrics per iteration while it trains, the rest at
 * the end. MLflow tells repeated metrics by key, step, value and time; so the time of a metric is made from the run's
 * start and the step, and an attempt that repeats steps of an earlier one adds nothing.
 */
export class TrialRecord {
  readonly #buffer: MetricInput[] = [];
  #flushing: Promise<void> = Promise.resolve();
  readonly #timer: NodeJS.Timeout;
  /** What the trainer was given; sent with the first metrics. */
  #params: Record<string, string>;

  private constructor(
    private readonly mlflow: MlflowClient,
    private readonly run: OpenRun,
    private readonly given: Record<string, string>,
    private readonly frame: RecordFrame,
  ) {
    this.#params = given;
    this.#timer = setInterval(() => this.#flush(), FLUSH_MS);
  }

  /** Opens the run, or finds the one that an earlier attempt opened. An outage of MLflow is waited out. */
  static async open(mlflow: MlflowClient, input: RecordedTrial, frame: RecordFrame): Promise<TrialRecord> {
    const { trial, candidate, tracking, run } = input;
    const name = `${trialLabel(trial)}${trial.fold === null ? '' : `/fold-${trial.fold}`}`;
    const description = {
      name,
      tags: {
        'mlflow.parentRunId': tracking.runId,
        'perennial.candidate': candidate.name,
        'perennial.trainer': candidate.trainer,
        'perennial.trial': String(trial.number),
        ...(trial.fold === null ? {} : { 'perennial.fold': String(trial.fold) }),
      },
    };
    const key = `${run.workflowId}/${run.runId}/${name}`;
    const opened = await throughOutages(frame, (again) =>
      findOrCreateRun(mlflow, tracking.experimentId, key, description, frame.attempt > 1 || again),
    );
    return new TrialRecord(mlflow, opened, paramsOf(input), frame);
  }

  get runId(): string {
    return this.run.runId;
  }

  /** Notes the metrics of an iteration; they are sent about once a second. */
  progress(step: number, metrics: Record<string, number>): void {
    const timestamp = this.run.startTime + step;
    for (const [key, value] of Object.entries(metrics))
      if (Number.isFinite(value)) this.#buffer.push({ key, value, step, timestamp });
  }

  /** Tells the rest and closes the run. An outage of MLflow is waited out. */
  async finish(outcome: TrialOutcome, stderrPath: string): Promise<void> {
    await this.#flushing;
    const { runId } = this;
    // After the last iteration's: MLflow shows the latest value of a key, and the model stands for the best iteration.
    const timestamp = this.run.startTime + outcome.iterations + 1;
    const final = {
      ...prefixed('validation_', outcome.validation),
      training_seconds: outcome.seconds,
      best_iteration: outcome.bestIteration,
    };
    const batch = {
      runId,
      // A parameter that was sent cannot be changed: trainers may report another value than they were given.
      params: { ...texts(outcome.parameters), ...this.given },
      metrics: [
        ...this.#buffer.splice(0),
        ...Object.entries(final).map(([key, value]) => ({ key, value, step: outcome.iterations, timestamp })),
      ],
      tags: {
        'perennial.state': outcome.state,
        ...prefixed('perennial.library.', outcome.libraries),
      },
    };
    await throughOutages(this.frame, async () => {
      await this.mlflow.runs.logBatch(batch);
      if (await isFilled(stderrPath))
        await this.mlflow.artifacts.uploadFile({ runId, path: STDERR_ARTIFACT, file: stderrPath });
      await this.mlflow.runs.finish({ runId });
    });
  }

  /**
   * Marks the run and keeps what the trainer said, where it said anything; an unreachable MLflow must not hide why
   * the training failed.
   */
  async fail(status: 'FAILED' | 'KILLED', stderrPath: string): Promise<void> {
    const { runId } = this;
    try {
      await this.mlflow.runs.finish({ runId, status });
      if (!(await isFilled(stderrPath))) return;
      await this.mlflow.artifacts.uploadFile(
        { runId, path: STDERR_ARTIFACT, file: stderrPath },
        { signal: AbortSignal.timeout(STDERR_MS) },
      );
    } catch (error) {
      this.frame.warn('the MLflow run of a failed trial is not complete', error);
    }
  }

  close(): void {
    clearInterval(this.#timer);
  }

  /** Live metrics are a courtesy: what cannot be sent now is sent with the next batch, or not at all. */
  #flush(): void {
    if (this.#buffer.length === 0) return;
    const metrics = this.#buffer.splice(0);
    const params = this.#params;
    this.#flushing = this.#flushing
      .then(() => this.mlflow.runs.logBatch({ runId: this.runId, metrics, params }))
      .then(
        () => {
          this.#params = {};
        },
        () => void this.#buffer.unshift(...metrics),
      );
  }
}

const texts = (values: Record<string, unknown>): Record<string, string> =>
  Object.fromEntries(Object.entries(values).map(([key, value]) => [key, String(value)]));

const paramsOf = ({ candidate, parameters, training }: RecordedTrial): Record<string, string> =>
  texts({ trainer: candidate.trainer, seed: training.seed, ...parameters });

/** MLflow's names of metrics and tags take no `@`. */
const prefixed = <V>(prefix: string, values: Record<string, V>): Record<string, V> =>
  Object.fromEntries(
    Object.entries(values).map(([key, value]) => [`${prefix}${key.replaceAll('@', '')}`, value]),
  );

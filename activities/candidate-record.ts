import { stat } from 'node:fs/promises';
import { log } from '@temporalio/activity';
import type { TrainCandidateInput } from '../contracts/activities.ts';
import type { MetricValues } from '../contracts/reports.ts';
import type { MetricInput, MlflowClient } from '../packages/mlflow-client-ts/src/index.ts';
import { logFields } from './failure.ts';
import { findOrCreateRun } from './mlflow-runs.ts';

const FLUSH_MS = 1_000;
const STDERR_ARTIFACT = 'trainer-stderr.txt';
/** How long the words of a failed trainer may take: the failure itself waits for them. */
const STDERR_MS = 10_000;

/** What is known when a candidate is trained. */
export interface CandidateResult {
  parameters: Record<string, number | string | boolean | null>;
  libraries: Record<string, string>;
  validation: MetricValues;
  seconds: number;
  stderrPath: string;
  iterations: number;
  bestIteration: number;
}

/**
 * The MLflow run of one candidate, a child of the lifecycle's run: metrics per iteration while it trains, the rest at
 * the end. MLflow tells repeated metrics by key, step, value and time; so the time of a metric is made from the run's
 * start and the step, and an attempt that repeats steps of an earlier one adds nothing.
 */
export class CandidateRecord {
  readonly #buffer: MetricInput[] = [];
  #flushing: Promise<void> = Promise.resolve();
  readonly #timer: NodeJS.Timeout;

  private constructor(
    private readonly mlflow: MlflowClient,
    readonly runId: string,
    private readonly startTime: number,
  ) {
    this.#timer = setInterval(() => this.#flush(), FLUSH_MS);
  }

  /** Opens the run, or finds the one that an earlier attempt opened. */
  static async open(mlflow: MlflowClient, input: TrainCandidateInput): Promise<CandidateRecord> {
    const { candidate, tracking, run, training } = input;
    const runId = await findOrCreateRun(
      mlflow,
      tracking.experimentId,
      `${run.workflowId}/${run.runId}/${candidate.name}`,
      {
        name: candidate.name,
        tags: {
          'mlflow.parentRunId': tracking.runId,
          'perennial.candidate': candidate.name,
          'perennial.trainer': candidate.trainer,
        },
      },
    );
    await mlflow.runs.update({ runId, status: 'RUNNING' });
    await mlflow.runs.logBatch({
      runId,
      params: { trainer: candidate.trainer, seed: String(training.seed) },
    });
    const { info } = await mlflow.runs.get({ runId });
    return new CandidateRecord(mlflow, runId, info.startTime ?? 0);
  }

  /** Notes the metrics of an iteration; they are sent about once a second. */
  progress(step: number, metrics: Record<string, number>): void {
    const timestamp = this.startTime + step;
    for (const [key, value] of Object.entries(metrics))
      if (Number.isFinite(value)) this.#buffer.push({ key, value, step, timestamp });
  }

  async finish(result: CandidateResult): Promise<void> {
    this.#flush();
    await this.#flushing;
    const { runId } = this;
    // After the last iteration's: MLflow shows the latest value of a key, and the model stands for the best iteration.
    const timestamp = this.startTime + result.iterations + 1;
    const finalMetrics = {
      ...result.validation,
      training_seconds: result.seconds,
      best_iteration: result.bestIteration,
    };
    await this.mlflow.runs.logBatch({
      runId,
      params: Object.fromEntries(
        Object.entries(result.parameters).map(([key, value]) => [key, String(value)]),
      ),
      metrics: Object.entries(finalMetrics).map(([key, value]) => ({
        key: key in result.validation ? `validation_${key}` : key,
        value,
        step: result.iterations,
        timestamp,
      })),
      tags: Object.fromEntries(
        Object.entries(result.libraries).map(([name, version]) => [
          `perennial.library.${name.replaceAll('@', '')}`,
          version,
        ]),
      ),
    });
    await this.mlflow.artifacts.uploadFile({ runId, path: STDERR_ARTIFACT, file: result.stderrPath });
    await this.mlflow.runs.finish({ runId });
  }

  /**
   * Marks the run and keeps what the trainer said, where it said anything; an unreachable MLflow must not hide why
   * the training failed.
   */
  async fail(status: 'FAILED' | 'KILLED', stderrPath: string): Promise<void> {
    const { runId } = this;
    try {
      await this.mlflow.runs.finish({ runId, status });
      if (!(await stat(stderrPath).catch(() => undefined))?.size) return;
      await this.mlflow.artifacts.uploadFile(
        { runId, path: STDERR_ARTIFACT, file: stderrPath },
        { signal: AbortSignal.timeout(STDERR_MS) },
      );
    } catch (error) {
      log.warn('the MLflow run of a failed candidate is not complete', logFields(error));
    }
  }

  close(): void {
    clearInterval(this.#timer);
  }

  /** Live metrics are a courtesy: what cannot be sent now is sent with the next batch, or not at all. */
  #flush(): void {
    if (this.#buffer.length === 0) return;
    const metrics = this.#buffer.splice(0);
    this.#flushing = this.#flushing
      .then(() => this.mlflow.runs.logBatch({ runId: this.runId, metrics }))
      .then(
        () => undefined,
        () => void this.#buffer.unshift(...metrics),
      );
  }
}

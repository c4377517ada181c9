import { invalidArgument } from '../errors.ts';
import { write } from '../http/spec.ts';
import type { CallOptions, Transport } from '../http/transport.ts';
import { assertLength, assertNotEmpty, assertPair, assertPairs, LIMITS } from '../limits.ts';
import { splitBatch } from '../logging/batch.ts';
import { toWireMetric } from '../logging/metric-wire.ts';
import type { DatasetInput } from '../schemas/dataset.ts';
import type { MetricInput } from '../schemas/metric.ts';
import type { ModelOutput } from '../schemas/run.ts';
import { toPairs } from '../schemas/wire.ts';

/** Arguments of {@link RunLogging.logBatch}. */
export interface LogBatchArgs {
  runId: string;
  /** Any number; split into requests of at most 1 000. */
  metrics?: readonly MetricInput[] | undefined;
  /** Values up to 6 000 characters. */
  params?: Readonly<Record<string, string>> | undefined;
  /** Values up to 8 000 characters. */
  tags?: Readonly<Record<string, string>> | undefined;
}

/**
 * What can be written to a run. All writes here may be repeated: MLflow keeps one row per
 * (metric, timestamp, step, value), refuses a param only when its value differs, and replaces
 * tags, so a second delivery changes nothing. `logModel` and `logOutputs` are the exceptions.
 */
export class RunLogging {
  protected readonly transport: Transport;

  constructor(transport: Transport) {
    this.transport = transport;
  }

  /**
   * Logs any number of metrics, params and tags, in as few requests as the server's
   * limits allow (1 000 metrics, 100 params, 100 tags, 1 000 entries, 1 MB each).
   *
   * Everything is checked before the first request. When more than one request is
   * needed they go one after another and are not atomic together; repeating the whole
   * call after a failure is safe, provided metrics carry their own timestamps.
   *
   * @returns the number of requests made.
   * @throws MlflowError (`invalid-argument`) for NaN or infinite metrics and for values
   * MLflow would cut.
   * @example
   * ```ts
   * await client.runs.logBatch({
   *   runId,
   *   params: { depth: '6' },
   *   metrics: [{ key: 'auc', value: 0.91, step: 3 }],
   * });
   * ```
   */
  async logBatch(args: LogBatchArgs, options?: CallOptions): Promise<number> {
    assertPairs('param', args.params, LIMITS.entityKey, LIMITS.paramValue);
    assertPairs('tag', args.tags, LIMITS.entityKey, LIMITS.tagValue);
    const now = Date.now();
    const batches = splitBatch({
      params: toPairs(args.params) ?? [],
      tags: toPairs(args.tags) ?? [],
      metrics: (args.metrics ?? []).map((metric) => toWireMetric(metric, now)),
    });
    for (const batch of batches) {
      const body = { run_id: args.runId, ...batch };
      await this.transport.command(write('POST', 'runs.logBatch', 'mlflow/runs/log-batch', body), options);
    }
    return batches.length;
  }

  /** Logs one value of one metric. */
  async logMetric(args: { runId: string } & MetricInput, options?: CallOptions): Promise<void> {
    const body = { run_id: args.runId, ...toWireMetric(args, Date.now()) };
    return this.transport.command(write('POST', 'runs.logMetric', 'mlflow/runs/log-metric', body), options);
  }

  /**
   * Logs one param. A param is written once: another value for the same key is refused by the server.
   *
   * @throws MlflowError (`invalid-argument`) for a value over 6 000 characters, which MLflow would cut.
   */
  async logParam(args: { runId: string; key: string; value: string }, options?: CallOptions): Promise<void> {
    assertPair('param', args.key, args.value, LIMITS.entityKey, LIMITS.paramValue);
    const body = { run_id: args.runId, key: args.key, value: args.value };
    return this.transport.command(write('POST', 'runs.logParam', 'mlflow/runs/log-parameter', body), options);
  }

  /** Sets one tag, replacing its value. */
  async setTag(args: { runId: string; key: string; value: string }, options?: CallOptions): Promise<void> {
    assertPair('tag', args.key, args.value, LIMITS.entityKey, LIMITS.tagValue);
    const body = { run_id: args.runId, key: args.key, value: args.value };
    return this.transport.command(write('POST', 'runs.setTag', 'mlflow/runs/set-tag', body), options);
  }

  /** Removes one tag; MLflow answers "not found" when it is not there. */
  async deleteTag(args: { runId: string; key: string }, options?: CallOptions): Promise<void> {
    const body = { run_id: args.runId, key: args.key };
    const spec = write('POST', 'runs.deleteTag', 'mlflow/runs/delete-tag', body, 'delete');
    return this.transport.command(spec, options);
  }

  /**
   * Notes which datasets and logged models a run read.
   *
   * @example
   * ```ts
   * await client.runs.logInputs({
   *   runId,
   *   datasets: [{
   *     dataset: { name: 'customers', digest: 'a1b2c3', sourceType: 'local', source: '{"uri":"data.csv"}' },
   *     tags: { 'mlflow.data.context': 'training' },
   *   }],
   * });
   * ```
   */
  async logInputs(
    args: {
      runId: string;
      datasets?: readonly DatasetInput[] | undefined;
      modelIds?: readonly string[] | undefined;
    },
    options?: CallOptions,
  ): Promise<void> {
    const body = {
      run_id: args.runId,
      datasets: (args.datasets ?? []).map(toWireDataset),
      models: (args.modelIds ?? []).map((modelId) => ({ model_id: modelId })),
    };
    return this.transport.command(write('POST', 'runs.logInputs', 'mlflow/runs/log-inputs', body), options);
  }

  /**
   * Notes which logged models a run produced. MLflow refuses a model already noted (400
   * `BAD_REQUEST`), so this is not repeated after an ambiguous failure.
   */
  async logOutputs(
    args: { runId: string; models: readonly ModelOutput[] },
    options?: CallOptions,
  ): Promise<void> {
    if (args.models.length === 0) throw invalidArgument('logOutputs needs at least one model');
    const models = args.models.map((model) => ({ model_id: model.modelId, step: model.step }));
    const body = { run_id: args.runId, models };
    const spec = write('POST', 'runs.logOutputs', 'mlflow/runs/outputs', body, 'unsent');
    return this.transport.command(spec, options);
  }

  /**
   * Appends a model description to the run's `mlflow.log-model.history` tag, the way
   * MLflow 2 recorded models. Appending twice leaves two entries, so it is not repeated
   * after an ambiguous failure.
   *
   * @param args `modelJson` is the JSON of an `MLmodel` file.
   */
  async logModel(args: { runId: string; modelJson: string }, options?: CallOptions): Promise<void> {
    const body = { run_id: args.runId, model_json: args.modelJson };
    const spec = write('POST', 'runs.logModel', 'mlflow/runs/log-model', body, 'unsent');
    return this.transport.command(spec, options);
  }
}

function toWireDataset(input: DatasetInput): Record<string, unknown> {
  const { dataset } = input;
  assertNotEmpty('dataset name', dataset.name);
  assertLength('dataset name', dataset.name, LIMITS.datasetName);
  assertNotEmpty('dataset digest', dataset.digest);
  assertLength('dataset digest', dataset.digest, LIMITS.datasetDigest);
  assertLength('dataset source', dataset.source, LIMITS.datasetSource);
  assertLength('dataset schema', dataset.schema ?? '', LIMITS.datasetSchema);
  assertLength('dataset profile', dataset.profile ?? '', LIMITS.datasetProfile);
  assertPairs('dataset-input tag', input.tags, LIMITS.inputTagKey, LIMITS.inputTagValue);
  return {
    tags: toPairs(input.tags),
    dataset: {
      name: dataset.name,
      digest: dataset.digest,
      source_type: dataset.sourceType,
      source: dataset.source,
      schema: dataset.schema,
      profile: dataset.profile,
    },
  };
}

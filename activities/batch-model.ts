import type { BatchActivities, BatchRequest } from '../contracts/batch-scoring.ts';
import { PerennialError } from '../contracts/errors.ts';
import { servedModel } from '../contracts/serving.ts';
import { type MlflowClient, MlflowError, type ModelVersion } from '../packages/mlflow-client-ts/src/index.ts';
import { ALIASES, loadableModel, versionByAlias } from './champion.ts';
import type { ActivityDependencies } from './dependencies.ts';
import { findOrCreateRun, runWithKey } from './mlflow-runs.ts';
import { runUrl } from './tracking.ts';

/** The experiment with the batches of a model; that of its training is called like its pipeline. */
export const batchExperiment = (model: string): string => `${model}/batch-scoring`;

const VERSION_TAG = 'perennial.batch_version';

/**
 * Resolves the version that a batch is scored with, and opens the MLflow run of the batch. A later attempt takes the
 * version of the one before, wherever the alias points by then. A batch that is started again has a run of its own.
 */
export async function openBatch(
  deps: ActivityDependencies,
  { request, batchId, run }: Parameters<BatchActivities['openBatch']>[0],
): Promise<Awaited<ReturnType<BatchActivities['openBatch']>>> {
  const mlflow = deps.mlflow();
  const store = await deps.store();
  const key = `batch/${run.workflowId}/${run.runId}/${batchId}`;
  const opened = await openedVersion(mlflow, request.model, key);
  const version = await versionOf(deps, opened === undefined ? request : { ...request, version: opened });
  const loadable = await loadableModel(mlflow, store, version);
  if (!loadable)
    throw new PerennialError(
      'ModelInvalid',
      `version ${version.version} of ${request.model} was not registered by Perennial, so its inputs and outputs are not known; train it by \`perennial run\``,
    );
  const { onnx, signature, views } = loadable;
  const model = servedModel.parse({ version: version.version, onnx, signature, ...(views && { views }) });
  const experimentId = await mlflow.experiments.getOrCreate({ name: batchExperiment(request.model) });
  const { runId } = await findOrCreateRun(mlflow, experimentId, key, {
    name: batchId,
    tags: {
      'perennial.batch': batchId,
      // From its beginning: parameters of a run cannot be changed any more.
      [VERSION_TAG]: model.version,
      'perennial.workflow_id': run.workflowId,
      'perennial.workflow_run_id': run.runId,
      ...(request.startedBy ? { 'perennial.started_by': request.startedBy } : {}),
    },
  });
  await mlflow.runs.logBatch({
    runId,
    params: {
      model: request.model,
      version: model.version,
      digest: onnx.sha256,
      ...(request.version === undefined ? { alias: request.alias ?? ALIASES.champion } : {}),
      invalid: request.invalid,
      chunkRows: String(request.chunkRows),
    },
  });
  return {
    tracking: { experimentId, runId, url: runUrl(deps.config.mlflowUi, experimentId, runId) },
    version: model.version,
    digest: onnx.sha256,
    model: await store.putJson(model),
  };
}

const unlessMissing = (error: unknown): undefined => {
  if (error instanceof MlflowError && error.isNotFound) return undefined;
  throw error;
};

/** The version that an earlier attempt of the same activity took. */
async function openedVersion(mlflow: MlflowClient, model: string, key: string): Promise<string | undefined> {
  const name = batchExperiment(model);
  const experiment = await mlflow.experiments.getByName({ name }).catch(unlessMissing);
  if (experiment === undefined) return undefined;
  const run = await runWithKey(mlflow, experiment.experimentId, key);
  return run?.data.tags[VERSION_TAG];
}

async function versionOf(
  deps: ActivityDependencies,
  { model: name, version, alias = ALIASES.champion }: BatchRequest,
): Promise<ModelVersion> {
  const mlflow = deps.mlflow();
  const found =
    version === undefined
      ? await versionByAlias(mlflow, name, alias)
      : await mlflow.modelVersions.get({ name, version }).catch(unlessMissing);
  if (found) return found;
  throw new PerennialError(
    'InputInvalid',
    version === undefined
      ? `model ${name} has no version with the alias ${alias}; list what there is with \`perennial models\`, and name a version`
      : `version ${version} of model ${name} does not exist; list what there is with \`perennial models\``,
  );
}

/** Writes the figures of a batch into its MLflow run and closes it. */
export async function closeBatch(
  deps: ActivityDependencies,
  { tracking: { runId }, result, status, message, endedAt }: Parameters<BatchActivities['closeBatch']>[0],
): Promise<void> {
  const mlflow = deps.mlflow();
  if (result) {
    const { rows, invalid, suppressed, seconds, source, output, table } = result;
    await mlflow.runs.logBatch({
      runId,
      params: {
        source: source.origin.slice(0, 6_000),
        sourceKind: source.kind,
        sourceDigest: source.sha256,
        snapshot: table,
        output: output.destination.slice(0, 6_000),
        ...(output.sha256 === null ? {} : { outputDigest: output.sha256 }),
      },
      metrics: Object.entries({
        rows,
        invalid,
        suppressed,
        seconds,
        ...(seconds > 0 ? { rows_per_second: rows / seconds } : {}),
      }).map(([key, value]) => ({ key, value, step: 0, timestamp: Date.parse(endedAt) })),
    });
    await mlflow.artifacts.upload({
      runId,
      path: 'batch.json',
      body: JSON.stringify(result, null, 2),
      contentType: 'application/json',
    });
  }
  await mlflow.runs.logBatch({ runId, tags: { 'perennial.message': message.slice(0, 4_000) } });
  await mlflow.runs.finish({ runId, status });
}

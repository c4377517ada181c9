import type { TrackingActivities } from '../contracts/activities.ts';
import { LINEAGE_FILE } from '../contracts/lineage.ts';
import { MEDIA_TYPES } from '../contracts/refs.ts';
import { SERVING_FILE, servingFile, VERSION_TAGS } from '../contracts/registered-version.ts';
import type { ServedModel, ServedView } from '../contracts/serving.ts';
import type { RegisterOutput } from '../contracts/stages.ts';
import { preparedFor } from '../domain/prepared-features.ts';
import { TrainedModels } from '../lib/erasure/trained-models.ts';
import { servedViews } from '../lib/feature-store/served-views.ts';
import { featurePlan } from '../lib/features/feature-plan.ts';
import { inputExample } from '../lib/features/input-example.ts';
import { lineageEnvironment } from '../lib/lineage/environment.ts';
import { modelFiles } from '../lib/model-directory.ts';
import { pythonEnvironment } from '../lib/python-environment.ts';
import { approvalPage } from '../lib/report/model-card/approval-page.ts';
import { modelCard } from '../lib/report/model-card/card.ts';
import type { ReportFacts } from '../lib/report/model-card/facts.ts';
import type { ArtifactStore } from '../lib/store/artifact-store.ts';
import { collect, type MlflowClient, type ModelVersion } from '../packages/mlflow-client-ts/src/index.ts';
import { ALIASES, versionByKey } from './champion.ts';
import type { ActivityDependencies } from './dependencies.ts';
import type { ActivityFrame } from './frame.ts';
import { keyOf } from './mlflow-runs.ts';
import { lineageOf } from './model-lineage.ts';
import { reportFacts } from './report-facts.ts';
import { versionDescription } from './version-description.ts';
import { withDatabase } from './with-database.ts';

type RegisterInput = Parameters<TrackingActivities['register']>[0];

/**
 * Writes the model directory as an MLflow logged model, registers it as a version with alias `challenger`, and
 * publishes the approver's page. Every step looks first for what an earlier attempt left.
 */
export async function register(
  deps: ActivityDependencies,
  input: RegisterInput,
  frame: ActivityFrame,
): Promise<RegisterOutput> {
  const { spec, tracking, run } = input;
  const mlflow = deps.mlflow();
  const store = await deps.store();
  const name = spec.deployment.endpoint;
  const key = `${run.workflowId}/${run.runId}`;
  await mlflow.registeredModels.getOrCreate({
    name,
    description: spec.description,
    tags: { 'perennial.pipeline': spec.name },
  });

  const { ownPlots, ...facts } = await reportFacts(store, input);
  for (const { name: plot, svg } of ownPlots)
    await mlflow.artifacts.upload({
      runId: tracking.runId,
      path: `plots/${plot}.svg`,
      body: svg,
      contentType: MEDIA_TYPES.svg,
    });
  const views = await lookedUp(store, input, frame);
  const modelId = await logModel(deps, mlflow, store, input, { key, facts, views });
  const version = await versionOf(mlflow, name, key, modelId, input);
  await new TrainedModels(store).record(spec, {
    name,
    version: version.version,
    train: input.split.train.artifact.sha256,
    validation: input.split.validation.artifact.sha256,
  });
  await mlflow.registeredModels.setAlias({ name, alias: ALIASES.challenger, version: version.version });

  const { runId } = tracking;
  await mlflow.artifacts.upload({
    runId,
    path: 'approval.html',
    body: approvalPage({ ...facts, version: version.version }),
    contentType: MEDIA_TYPES.html,
  });
  await mlflow.runs.logBatch({ runId, tags: { 'perennial.model_version': `${name}/${version.version}` } });
  return {
    modelName: name,
    version: version.version,
    modelId,
    approvalPage: `${tracking.url}/artifacts/approval.html`,
    ...(views.length > 0 ? { views } : {}),
  };
}

/** The inputs of the model that its server looks up. */
async function lookedUp(
  store: ArtifactStore,
  { spec, ingest, split, evaluate: { signature } }: RegisterInput,
  frame: ActivityFrame,
): Promise<ServedView[]> {
  const { views: plans } = ingest;
  if (!plans) return [];
  const trainPath = await store.within(await frame.scratch()).path(split.train.artifact);
  const { name: pipeline, featureViews } = spec;
  return withDatabase(frame, (database) =>
    servedViews(database, { pipeline, featureViews, plans, signature, trainPath }),
  );
}

/** The logged model with all of its files; one per key. */
async function logModel(
  deps: ActivityDependencies,
  mlflow: MlflowClient,
  store: ArtifactStore,
  input: RegisterInput,
  { key, facts, views }: { key: string; facts: Omit<ReportFacts, 'version'>; views: ServedView[] },
): Promise<string> {
  const { tracking, evaluate, spec } = input;
  const [found] = await collect(
    mlflow.loggedModels.search({
      experimentIds: [tracking.experimentId],
      filter: `tags.\`${VERSION_TAGS.key}\` = '${keyOf(key)}'`,
      limit: 1,
    }),
  );
  const model =
    found ??
    (await mlflow.loggedModels.create({
      experimentId: tracking.experimentId,
      name: spec.name,
      modelType: 'onnx',
      sourceRunId: tracking.runId,
      params: { trainer: evaluate.winner.trainer, candidate: evaluate.winner.name },
      tags: { [VERSION_TAGS.key]: keyOf(key) },
    }));
  if (found?.status === 'READY') return found.modelId;

  const plan = featurePlan.parse(
    await store.json(preparedFor(input.prepared, evaluate.winner.features).plan),
  );
  const createdAt = new Date(model.creationTimestamp ?? 0).toISOString();
  const environment = await lineageEnvironment(deps.config.python);
  const lineage = lineageOf(input, { modelId: model.modelId, createdAt, environment });
  const files = modelFiles({
    signature: evaluate.signature,
    onnx: await store.bytes(evaluate.winner.model),
    inputExample: inputExample(evaluate.signature, plan),
    environment: await pythonEnvironment(deps.config.python),
    mlflowVersion: await mlflow.server.version(),
    modelId: model.modelId,
    runId: tracking.runId,
    createdAt,
    files: {
      [SERVING_FILE]: JSON.stringify(
        servingFile.parse({
          signature: evaluate.signature,
          ...(views.length > 0 ? { views } : {}),
          task: spec.task,
          classNames: input.split.classNames,
          positiveClass: input.split.positiveClass,
          ...(evaluate.winner.threshold === undefined ? {} : { threshold: evaluate.winner.threshold }),
        }),
      ),
      'pipeline.json': JSON.stringify({ spec, features: plan }, null, 2),
      [LINEAGE_FILE]: JSON.stringify(lineage, null, 2),
      'model-card.html': modelCard({ ...facts, version: null }),
    },
  });
  for (const [path, body] of Object.entries(files))
    await mlflow.artifacts.upload({ modelId: model.modelId, path, body });
  await linkOutput(mlflow, tracking.runId, model.modelId);
  // Last: a model that is ready is complete.
  await mlflow.loggedModels.finalize({ modelId: model.modelId, status: 'READY' });
  return model.modelId;
}

/** Links the model to its run; `runs/outputs` refuses what it has already. */
async function linkOutput(mlflow: MlflowClient, runId: string, modelId: string): Promise<void> {
  const { outputs } = await mlflow.runs.get({ runId });
  if (!outputs.models.some((model) => model.modelId === modelId))
    await mlflow.runs.logOutputs({ runId, models: [{ modelId, step: 0 }] });
}

/** The run's version; one that an earlier attempt created is taken. */
async function versionOf(
  mlflow: MlflowClient,
  name: string,
  key: string,
  modelId: string,
  input: RegisterInput,
): Promise<ModelVersion> {
  const found = await versionByKey(mlflow, name, key);
  if (found) return found;
  const { evaluate, explain, tracking, code, ingest, spec } = input;
  const explanation: ServedModel['explanation'] = {
    samples: evaluate.samples,
    ...(explain?.explainer ? { explainer: explain.explainer } : {}),
  };
  return mlflow.modelVersions.create({
    name,
    source: `models:/${modelId}`,
    modelId,
    runId: tracking.runId,
    description: versionDescription(input),
    tags: {
      [VERSION_TAGS.key]: keyOf(key),
      [VERSION_TAGS.onnx]: JSON.stringify(evaluate.winner.model),
      [VERSION_TAGS.explanation]: JSON.stringify(explanation),
      [VERSION_TAGS.training]: JSON.stringify(input.split.train.artifact),
      [VERSION_TAGS.outcome]: 'candidate',
      'perennial.data_digest': ingest.digest,
      'perennial.pipeline': spec.name,
      'perennial.task': spec.task,
      'perennial.trainer': evaluate.winner.trainer,
      [`perennial.test_${spec.evaluation.metric}`]: String(evaluate.test[spec.evaluation.metric] ?? ''),
      'perennial.workflow_id': input.run.workflowId,
      ...(code.commit
        ? { 'perennial.git.commit': code.commit, 'perennial.git.dirty': String(code.dirty) }
        : {}),
    },
  });
}

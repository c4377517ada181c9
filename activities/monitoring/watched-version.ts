import { join } from 'node:path';
import { durationMs } from '../../contracts/durations.ts';
import type { ReferenceProfile } from '../../contracts/monitoring-reference.ts';
import type { LoadableModel } from '../../contracts/registered-version.ts';
import type { ServedModel } from '../../contracts/serving.ts';
import type { MonitoringSpec } from '../../contracts/spec/monitoring.ts';
import type { PipelineSpec } from '../../contracts/spec/pipeline.ts';
import { quoteLiteral } from '../../lib/duckdb/sql.ts';
import { ANSWERED } from '../../lib/monitoring/prediction-windows.ts';
import type { WatchedProblem } from '../../lib/monitoring/problem.ts';
import { buildReference } from '../../lib/monitoring/reference.ts';
import { References } from '../../lib/monitoring/references.ts';
import { WatchedModels } from '../../lib/monitoring/watched-models.ts';
import { LOG_COLUMNS_OF } from '../../lib/monitoring/window-statistics.ts';
import { openPredictions } from '../../lib/predictions/prediction-log.ts';
import { scoreLabelled } from '../../lib/scoring/scored-table.ts';
import type { ArtifactStore } from '../../lib/store/artifact-store.ts';
import { loadableModel } from '../champion.ts';
import type { ActivityDependencies } from '../dependencies.ts';
import type { ActivityFrame } from '../frame.ts';
import { lineageOfVersion } from '../version-lineage.ts';
import { withDatabase } from '../with-database.ts';

/** A version whose predictions are watched. */
export interface WatchedVersion {
  model: LoadableModel;
  problem: WatchedProblem;
  reference: ReferenceProfile;
}

/** What a reference is made for. */
interface Watched {
  endpoint: string;
  version: string;
  spec: PipelineSpec;
  monitoring: MonitoringSpec;
  /** Event time. */
  asOf: string;
}

/**
 * A registered version with what its predictions are held against, which is made once for each version and kept in the
 * store.
 *
 * @returns `undefined` where the version was not registered by Perennial
 */
export async function watchedVersion(
  deps: ActivityDependencies,
  watched: Watched,
  frame: ActivityFrame,
): Promise<WatchedVersion | undefined> {
  const { endpoint, version, spec, monitoring } = watched;
  const mlflow = deps.mlflow();
  const store = (await deps.store()).within(await frame.scratch(), { encrypt: true });
  const model = await new WatchedModels(store.documents).get(endpoint, version, async () =>
    loadableModel(mlflow, store, await mlflow.modelVersions.get({ name: endpoint, version })),
  );
  if (!model) return undefined;
  const problem = problemOf(model, spec);
  const reference = await new References(store).get(
    endpoint,
    [version, model.onnx.sha256, monitoring.reference, monitoring.slices],
    () =>
      monitoring.reference === 'training'
        ? ofTraining(deps, store, { ...watched, model, problem }, frame)
        : ofPredictions(deps, monitoring.reference, { ...watched, model, problem }, frame),
    isComplete(monitoring, watched.asOf),
  );
  return { model, problem, reference };
}

/** Whether all truth about the time of a reference has come; before, it is made anew for each window. */
function isComplete({ reference, groundTruthDelay }: MonitoringSpec, asOf: string): boolean {
  if (reference === 'training') return true;
  const delay = groundTruthDelay === undefined ? 0 : durationMs(groundTruthDelay);
  return Date.parse(reference.before) + delay <= Date.parse(asOf);
}

/** What a model predicts. */
export const problemOf = (
  {
    task,
    classNames,
    positiveClass,
    threshold,
  }: Pick<LoadableModel, 'task' | 'classNames' | 'positiveClass' | 'threshold'>,
  { evaluation }: Pick<PipelineSpec, 'evaluation'>,
): WatchedProblem => ({ task, classNames, positiveClass, threshold, quantile: evaluation.quantile });

/** What of a version is served. */
export const servedOf = ({ version, onnx, signature, views }: LoadableModel): ServedModel => ({
  version,
  onnx,
  signature,
  ...(views && { views }),
});

type Question = Watched & Omit<WatchedVersion, 'reference'>;

/** Features of the rows that the version was trained on; answers and truth of its test rows, which it never saw. */
async function ofTraining(
  deps: ActivityDependencies,
  store: ArtifactStore,
  { endpoint, version, spec, monitoring, model, problem }: Question,
  frame: ActivityFrame,
): Promise<ReferenceProfile> {
  const { data } = await lineageOfVersion(deps.mlflow(), endpoint, version);
  const { train, test } = data.split;
  const scratchDir = await frame.scratch();
  const scored = join(scratchDir, 'test-scored.parquet');
  await scoreLabelled({
    model: servedOf(model),
    modelPath: await store.path(model.onnx),
    parquetPath: await store.path(test.artifact),
    outPath: scored,
    task: model.task,
    target: spec.columns.target,
    timestamp: spec.columns.timestamp ?? null,
    scratchDir,
    memoryLimit: frame.duckdbMemory,
    signal: frame.signal,
  });
  const rows = await store.path(train.artifact);
  const relation = (path: string): string => `read_parquet(${quoteLiteral(path)})`;
  return withDatabase(
    frame,
    (database) =>
      buildReference(database, {
        version,
        words: `version ${version}: its ${train.rows.toLocaleString('en')} training rows, answers and truth of its ${test.rows.toLocaleString('en')} test rows`,
        features: model.signature.inputs.map(({ name, kind }) => ({ name, kind })),
        rows: { relation: relation(rows), columnOf: (name) => name },
        answered: {
          relation: relation(scored),
          columnOf: LOG_COLUMNS_OF.outputOf,
          featureOf: LOG_COLUMNS_OF.featureOf,
        },
        slices: monitoring.slices,
        problem,
      }),
    [rows, scored],
  );
}

/** What was predicted in a time that people chose. */
async function ofPredictions(
  deps: ActivityDependencies,
  { from, before }: Exclude<MonitoringSpec['reference'], 'training'>,
  { endpoint, version, monitoring, model, problem }: Question,
  frame: ActivityFrame,
): Promise<ReferenceProfile> {
  const log = await openPredictions(deps.config, endpoint, {
    since: new Date(from),
    until: new Date(before),
    scratchDir: await frame.scratch(),
    memoryLimit: frame.duckdbMemory,
    signal: frame.signal,
  });
  try {
    const relation = `(SELECT * FROM labelled WHERE ${ANSWERED})`;
    return await buildReference(log.database, {
      version,
      words: `predictions from ${from} to ${before}`,
      features: model.signature.inputs.map(({ name, kind }) => ({ name, kind })),
      rows: { relation, columnOf: LOG_COLUMNS_OF.featureOf },
      answered: { relation, columnOf: LOG_COLUMNS_OF.outputOf, featureOf: LOG_COLUMNS_OF.featureOf },
      slices: monitoring.slices,
      problem,
    });
  } finally {
    await log.close();
  }
}

import type { DataActivities } from '../contracts/activities.ts';
import { MEDIA_TYPES } from '../contracts/refs.ts';
import type { FeaturePreset } from '../contracts/spec/features.ts';
import type { PreparedFeatures, PrepareOutput } from '../contracts/stages.ts';
import { presetsOf } from '../domain/prepared-features.ts';
import { writeLabels } from '../lib/data/labels.ts';
import { placeKeys } from '../lib/data/split.ts';
import type { Database } from '../lib/duckdb/database.ts';
import { foldSql } from '../lib/duckdb/row-place.ts';
import { quoteLiteral } from '../lib/duckdb/sql.ts';
import { columnTasks } from '../lib/features/column-options.ts';
import { featureColumns } from '../lib/features/feature-columns.ts';
import type { FeaturePlan, RawColumn } from '../lib/features/feature-plan.ts';
import { fitFeatures } from '../lib/features/fit.ts';
import { preprocessGraph } from '../lib/features/preprocess-graph.ts';
import { targetNumbers } from '../lib/features/target-statistics.ts';
import { transformTable } from '../lib/features/transform.ts';
import type { ArtifactStore } from '../lib/store/artifact-store.ts';
import type { ActivityDependencies } from './dependencies.ts';
import type { ActivityFrame } from './frame.ts';
import { withDatabase } from './with-database.ts';

type PrepareInput = Parameters<DataActivities['prepare']>[0];
type Part = 'train' | 'validation';

/** Folds are other places than those of the split, which would leave some folds empty. */
const FOLD_SALT = 'fold';

/**
 * Fits the features on the training rows and sends training and validation rows through the fitted graph: once for
 * each family of trainers among the candidates that wants other features.
 */
export async function prepare(
  deps: ActivityDependencies,
  input: PrepareInput,
  frame: ActivityFrame,
): Promise<PrepareOutput> {
  const { split, spec } = input;
  const store = (await deps.store()).within(await frame.scratch(), { encrypt: split.sensitive });
  return withDatabase(frame, async (database, scratchDir) => {
    const columns = featureColumns(split.columns, spec);
    const labels = await writeAllLabels(store, input, frame.signal, scratchDir);
    const made = new Map<string, PreparedFeatures>();
    const variants: PrepareOutput['variants'] = {};
    for (const preset of presetsOf(spec.candidates)) {
      const options = JSON.stringify(columnTasks(columns, spec.features, preset));
      const features =
        made.get(options) ??
        (await prepareVariant({ database, store, frame, scratchDir, input, columns, labels }, preset));
      made.set(options, features);
      variants[preset] = features;
    }
    return { variants };
  });
}

type Labels = Record<Part, PreparedFeatures['train']['labels']>;

async function writeAllLabels(
  store: ArtifactStore,
  { split, spec }: PrepareInput,
  signal: AbortSignal,
  scratchDir: string,
): Promise<Labels> {
  const write = async (part: Part) => {
    const path = `${scratchDir}/${part}-labels.npy`;
    const parquetPath = await store.path(split[part].artifact);
    await writeLabels(
      { parquetPath, target: spec.columns.target, classNames: split.classNames, signal },
      path,
    );
    return store.putFile(path, MEDIA_TYPES.npy);
  };
  return { train: await write('train'), validation: await write('validation') };
}

/** What all variants have in common. */
interface Preparation {
  database: Database;
  store: ArtifactStore;
  frame: ActivityFrame;
  scratchDir: string;
  input: PrepareInput;
  columns: readonly RawColumn[];
  labels: Labels;
}

async function prepareVariant(
  { database, store, frame, scratchDir, input: { split, spec }, columns, labels }: Preparation,
  preset: FeaturePreset,
): Promise<PreparedFeatures> {
  const { target } = spec.columns;
  const fold = foldSql(placeKeys(spec, split), FOLD_SALT, spec.features.folds);
  const trainPath = await store.path(split.train.artifact);
  const { plan, folds } = await fitFeatures(
    database.connection,
    `read_parquet(${quoteLiteral(trainPath)})`,
    columns,
    spec.features,
    {
      preset,
      target: { numbers: targetNumbers(spec.task, target, split), fold, folds: spec.features.folds },
    },
  );
  const graph = async (bytes: Uint8Array) => {
    const artifact = await store.putBytes(bytes, MEDIA_TYPES.onnx);
    return { artifact, path: await store.path(artifact) };
  };
  const served = await graph(preprocessGraph(plan));
  const training = folds && (await graph(preprocessGraph(plan, folds)));

  const matrixOf = async (part: Part): Promise<PreparedFeatures['train']> => {
    const outPath = `${scratchDir}/${preset}-${part}.npy`;
    const { rows } = await transformTable({
      parquetPath: await store.path(split[part].artifact),
      plan,
      outPath,
      signal: frame.signal,
      ...(training && part === 'train'
        ? { preprocessPath: training.path, fold }
        : { preprocessPath: served.path }),
    });
    return { features: await store.putFile(outPath, MEDIA_TYPES.npy), labels: labels[part], rows };
  };
  return {
    plan: await store.putJson(plan),
    preprocess: served.artifact,
    ...(training ? { outOfFold: training.artifact } : {}),
    ...(await namesOf(store, plan)),
    train: await matrixOf('train'),
    validation: await matrixOf('validation'),
    notes: plan.notes,
  };
}

const namesOf = async (store: ArtifactStore, { matrix }: FeaturePlan) => ({
  featureNames: await store.putJson(matrix.map(({ name }) => name)),
  featureCount: matrix.length,
});

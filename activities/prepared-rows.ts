import { rm } from 'node:fs/promises';
import { durationMs } from '../contracts/durations.ts';
import { type ArtifactRef, MEDIA_TYPES } from '../contracts/refs.ts';
import type { FeaturePreset } from '../contracts/spec/features.ts';
import type { PipelineSpec } from '../contracts/spec/pipeline.ts';
import type { PreparedFeatures, SplitOutput } from '../contracts/stages.ts';
import { writeAgeWeights } from '../lib/data/age-weights.ts';
import { writeLabels } from '../lib/data/labels.ts';
import { placeKeys, requireColumns } from '../lib/data/split.ts';
import type { Database } from '../lib/duckdb/database.ts';
import { foldSql } from '../lib/duckdb/row-place.ts';
import { quoteLiteral } from '../lib/duckdb/sql.ts';
import type { FeaturePlan, RawColumn } from '../lib/features/feature-plan.ts';
import { fitFeatures } from '../lib/features/fit.ts';
import { preprocessGraph } from '../lib/features/preprocess-graph.ts';
import { targetNumbers } from '../lib/features/target-statistics.ts';
import { transformTable } from '../lib/features/transform.ts';
import type { ArtifactStore } from '../lib/store/artifact-store.ts';

/** Local Parquet files: features are fitted on the one, and both become matrices. */
export interface RowFiles {
  train: string;
  validation: string;
}

/** What all rows have in common that features are fitted on. */
export interface Preparation {
  database: Database;
  store: ArtifactStore;
  scratchDir: string;
  signal: AbortSignal;
  spec: Pick<PipelineSpec, 'name' | 'task' | 'columns' | 'split' | 'features' | 'training'>;
  split: SplitOutput;
  columns: readonly RawColumn[];
  presets: readonly FeaturePreset[];
}

/** Features that were fitted on some rows, by preset. */
export type FittedRows = ReadonlyMap<FeaturePreset, Omit<PreparedFeatures, 'folds'>>;

/** Folds are other places than those of the split, which would leave some folds empty. */
const FOLD_SALT = 'fold';

/** Fits features on training rows, and stores graphs, matrices and labels. */
export async function prepareRows(preparation: Preparation, rows: RowFiles): Promise<FittedRows> {
  const told = {
    train: await storeTold(preparation, rows.train),
    validation: await storeTold(preparation, rows.validation),
  };
  const made = new Map<FeaturePreset, Omit<PreparedFeatures, 'folds'>>();
  for (const preset of preparation.presets)
    made.set(preset, await prepareVariant(preparation, preset, rows, told));
  return made;
}

/** What a trainer is told of the rows beside their features: the same for all presets. */
type Told = Pick<PreparedFeatures['train'], 'labels' | 'weights'>;

async function storeTold(
  { database, store, scratchDir, signal, spec, split }: Preparation,
  parquetPath: string,
): Promise<Told> {
  const path = `${scratchDir}/labels.npy`;
  const { target, timestamp = '' } = spec.columns;
  await writeLabels({ parquetPath, target, classNames: split.classNames, signal }, path);
  const labels = await stored(store, path);
  const { ageWeights } = spec.training;
  if (!ageWeights) return { labels };
  requireColumns('columns.timestamp', [timestamp], split);
  const halfLifeMs = durationMs(ageWeights.halfLife);
  await writeAgeWeights(database, { parquetPath, timestamp, halfLifeMs, signal }, path);
  return { labels, weights: await stored(store, path) };
}

async function prepareVariant(
  { database, store, scratchDir, signal, spec, split, columns }: Preparation,
  preset: FeaturePreset,
  rows: RowFiles,
  told: Record<keyof RowFiles, Told>,
): Promise<Omit<PreparedFeatures, 'folds'>> {
  const { target } = spec.columns;
  const fold = foldSql(placeKeys(spec, split), FOLD_SALT, spec.features.folds);
  const { plan, folds } = await fitFeatures(
    database.connection,
    `read_parquet(${quoteLiteral(rows.train)})`,
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

  const matrixOf = async (part: keyof RowFiles): Promise<PreparedFeatures['train']> => {
    const outPath = `${scratchDir}/features.npy`;
    const { rows: count } = await transformTable({
      parquetPath: rows[part],
      plan,
      outPath,
      signal,
      ...(training && part === 'train'
        ? { preprocessPath: training.path, fold }
        : { preprocessPath: served.path }),
    });
    return { features: await stored(store, outPath), ...told[part], rows: count };
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

/** Moves an array into the store: those of many folds together would fill the disk. */
async function stored(store: ArtifactStore, path: string): Promise<ArtifactRef> {
  try {
    return await store.putFile(path, MEDIA_TYPES.npy);
  } finally {
    await rm(path, { force: true });
  }
}

const namesOf = async (store: ArtifactStore, { matrix }: FeaturePlan) => ({
  featureNames: await store.putJson(matrix.map(({ name }) => name)),
  featureCount: matrix.length,
});

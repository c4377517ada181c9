import type { DataActivities } from '../contracts/activities.ts';
import { MEDIA_TYPES } from '../contracts/refs.ts';
import type { PrepareOutput } from '../contracts/stages.ts';
import { writeLabels } from '../lib/data/labels.ts';
import { quoteLiteral } from '../lib/duckdb/sql.ts';
import { featureColumns } from '../lib/features/feature-columns.ts';
import { fitFeatures } from '../lib/features/fit.ts';
import { preprocessGraph } from '../lib/features/preprocess-graph.ts';
import { transformTable } from '../lib/features/transform.ts';
import type { ActivityDependencies } from './dependencies.ts';
import type { ActivityFrame } from './frame.ts';
import { withDatabase } from './with-database.ts';

/** Fits the features on the training rows and sends training and validation rows through the fitted graph. */
export async function prepare(
  deps: ActivityDependencies,
  { split, spec }: Parameters<DataActivities['prepare']>[0],
  frame: ActivityFrame,
): Promise<PrepareOutput> {
  const store = await deps.store();
  return withDatabase(frame, async (database, scratchDir) => {
    const trainPath = await store.path(split.train.artifact);
    const columns = featureColumns(split.columns, spec);
    const plan = await fitFeatures(
      database.connection,
      `read_parquet(${quoteLiteral(trainPath)})`,
      columns,
      spec.features,
    );
    const graph = preprocessGraph(plan);
    const preprocess = await store.putBytes(graph, MEDIA_TYPES.onnx);
    const preprocessPath = await store.path(preprocess);

    const matrixOf = async (part: 'train' | 'validation'): Promise<PrepareOutput['train']> => {
      const parquetPath = await store.path(split[part].artifact);
      const outPath = `${scratchDir}/${part}.npy`;
      const { rows } = await transformTable({
        parquetPath,
        plan,
        preprocessPath,
        outPath,
        signal: frame.signal,
      });
      const labelsPath = `${scratchDir}/${part}-labels.npy`;
      await writeLabels(database, parquetPath, spec.columns.target, split.classNames, labelsPath);
      return {
        features: await store.putFile(outPath, MEDIA_TYPES.npy),
        labels: await store.putFile(labelsPath, MEDIA_TYPES.npy),
        rows,
      };
    };
    const train = await matrixOf('train');
    const validation = await matrixOf('validation');
    return {
      plan: await store.putJson(plan),
      preprocess,
      featureNames: await store.putJson(plan.matrix.map((column) => column.name)),
      featureCount: plan.matrix.length,
      train,
      validation,
      notes: plan.notes,
    };
  });
}

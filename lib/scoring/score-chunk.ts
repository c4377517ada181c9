import type { ArtifactRef, RowRange } from '../../contracts/refs.ts';
import { MEDIA_TYPES } from '../../contracts/refs.ts';
import type { ArtifactStore } from '../store/artifact-store.ts';
import type { ScoringPlan } from './plan.ts';
import { scoredAside } from './score-aside.ts';

/** Where a chunk is scored. */
export interface ChunkOptions {
  /** One with a scratch folder. */
  store: ArtifactStore;
  scratchDir: string;
  memoryLimit?: string | undefined;
  signal: AbortSignal;
  onRows(rows: number): void;
}

/** All that decides what the answers for a chunk are: the step cache's identity. Neither batch nor time is in it. */
export function chunkIdentity(plan: ScoringPlan, rows: RowRange): unknown {
  const { table, model, passThrough, entity, features, invalid } = plan;
  return {
    table: table.sha256,
    model: model.onnx.sha256,
    signature: model.signature,
    passThrough,
    entity,
    features,
    invalid,
    rows,
  };
}

/**
 * Answers for a range of a batch's rows, as an artifact.
 *
 * @throws PerennialError `ColumnInvalid`, `ModelInvalid`, `ArtifactMissing`, `ArtifactErased`
 */
export async function scoreChunk(
  plan: ScoringPlan,
  rows: RowRange,
  { store, scratchDir, memoryLimit, signal, onRows }: ChunkOptions,
): Promise<{ artifact: ArtifactRef; invalid: number }> {
  const slice = plan.slices.find((one) => one.rows.from === rows.from && one.rows.before === rows.before);
  const offset = slice ? rows.from : 0;
  const { columns, model, passThrough, entity, features, invalid: policy } = plan;
  const outPath = `${scratchDir}/answers.parquet`;
  const { invalid } = await scoredAside(
    {
      plan: { schemaVersion: 1, columns, model, passThrough, entity, features, invalid: policy },
      parquetPath: await store.path(slice?.artifact ?? plan.table),
      rows: { from: rows.from - offset, before: rows.before - offset },
      offset,
      modelPath: await store.path(model.onnx),
      outPath,
      spillDir: `${scratchDir}/score-spill`,
      ...(memoryLimit === undefined ? {} : { memoryLimit }),
    },
    signal,
    onRows,
  );
  return { artifact: await store.putFile(outPath, MEDIA_TYPES.parquet, { encrypt: plan.encrypt }), invalid };
}

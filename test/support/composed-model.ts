import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { toBinary } from '@bufbuild/protobuf';
import type { SampleSet } from '../../contracts/samples.ts';
import type { ModelSignature, ServedModel } from '../../contracts/serving.ts';
import { featuresSpec } from '../../contracts/spec/features.ts';
import { sampleRows } from '../../lib/data/sample.ts';
import { Database } from '../../lib/duckdb/database.ts';
import type { RawColumn } from '../../lib/features/feature-plan.ts';
import { fitFeatures } from '../../lib/features/fit.ts';
import { preprocessGraph } from '../../lib/features/preprocess-graph.ts';
import { scoreTable } from '../../lib/features/transform.ts';
import { composeModel } from '../../lib/onnx/compose.ts';
import { OnnxGraphBuilder, readModel } from '../../lib/onnx/graph.ts';
import { ModelProtoSchema } from '../../lib/onnx/onnx_pb.ts';
import type { ArtifactStore } from '../../lib/store/artifact-store.ts';

const ROWS = 400;
const COLUMNS: RawColumn[] = [
  { name: 'delay', kind: 'numeric' },
  { name: 'größe', kind: 'numeric' },
  { name: 'member', kind: 'boolean' },
  { name: 'job', kind: 'categorical' },
  { name: 'at', kind: 'datetime' },
  { name: 'note', kind: 'text' },
];

/** A model of columns of all kinds, with the rows and answers that its evaluation has on record. */
export interface ComposedModel {
  readonly onnx: Uint8Array;
  readonly signature: ModelSignature;
  readonly samples: SampleSet;
}

/** The features that the pipeline fits, before a linear model made by hand; evaluated as the stage does. */
export async function composedModel(folder: string): Promise<ComposedModel> {
  const database = await Database.create({ tempDir: join(folder, 'spill') });
  try {
    const parquetPath = join(folder, 'rows.parquet');
    await database.copyToParquet(
      `SELECT CASE WHEN i % 11 = 0 THEN NULL ELSE sin(i) * 30 END AS delay, (i * 37) % 101 / 7.0 AS "größe",
         i % 3 = 0 AS member, ['admin', 'blue-collar', NULL, 'None'][1 + i % 4] AS job,
         TIMESTAMP '2013-01-03 05:00:00' + INTERVAL (i * 31) HOUR AS at,
         ['late again', 'on time', NULL, 'again and again'][1 + i % 4] AS note
       FROM range(${ROWS}) AS rows(i)`,
      parquetPath,
    );
    const spec = featuresSpec.parse({ text: { minDocuments: 2 }, derived: [{ ratio: ['delay', 'größe'] }] });
    const relation = `read_parquet('${parquetPath}')`;
    const { plan } = await fitFeatures(database.connection, relation, COLUMNS, spec, { preset: 'linear' });
    const { onnx, signature } = composeModel(preprocessGraph(plan), linear(plan.matrix.length), {
      task: 'binary',
      classNames: ['no', 'yes'],
    });
    const modelPath = join(folder, 'model.onnx');
    await writeFile(modelPath, onnx);
    const { values } = await scoreTable({ parquetPath, signature, modelPath, scratchDir: folder });
    return { onnx, signature, samples: await sampleRows(database, parquetPath, signature, values, 200) };
  } finally {
    database.close();
  }
}

/** Class probabilities of a weighted sum. */
function linear(features: number): Uint8Array {
  const graph = new OnnxGraphBuilder('linear');
  const x = graph.input('features', 'float', ['batch', features]);
  const data = Float32Array.from({ length: 2 * features }, (_, i) => Math.sin(i + 1) / 3);
  const weights = graph.initializer('weights', { type: 'float', dims: [features, 2], data });
  graph.op('Softmax', [graph.op('MatMul', [x, weights])], {
    attributes: { axis: 1n },
    output: 'probabilities',
  });
  graph.output('probabilities', 'float', ['batch', 2]);
  return graph.build();
}

export const served = async (
  store: ArtifactStore,
  version: string,
  { onnx, signature }: Pick<ComposedModel, 'onnx' | 'signature'>,
): Promise<ServedModel> => ({ version, onnx: await store.putBytes(onnx, 'application/onnx'), signature });

/**
 * The model with one constant of its preprocessing changed: the one that the first numeric column is moved by.
 *
 * @param by so much
 */
export function alteredModel(onnx: Uint8Array, by: number): Uint8Array {
  // A copy: constants are read where they lie.
  const model = readModel(onnx.slice());
  const offsets = model.graph.initializer.find(({ name }) => name.startsWith('preprocess/offset#'));
  if (!offsets) throw new Error('the preprocessing moves no column');
  const raw = new DataView(offsets.rawData.buffer, offsets.rawData.byteOffset);
  raw.setFloat32(0, raw.getFloat32(0, true) + by, true);
  return toBinary(ModelProtoSchema, model);
}

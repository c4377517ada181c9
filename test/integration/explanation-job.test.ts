import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { create, toBinary } from '@bufbuild/protobuf';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { featuresSpec } from '../../contracts/spec/features.ts';
import { sampleRows } from '../../lib/data/sample.ts';
import { columnSources } from '../../lib/explanation/column-sources.ts';
import { batchOf, type RawRow } from '../../lib/explanation/columns.ts';
import { explained } from '../../lib/explanation/explain-aside.ts';
import type { ExplainJob } from '../../lib/explanation/explain-job.ts';
import { Predictor } from '../../lib/explanation/predictor.ts';
import { featureColumns } from '../../lib/features/feature-columns.ts';
import { fitFeatures } from '../../lib/features/fit.ts';
import { preprocessGraph } from '../../lib/features/preprocess-graph.ts';
import { transformTable } from '../../lib/features/transform.ts';
import { readNpy } from '../../lib/npy.ts';
import { composeModel } from '../../lib/onnx/compose.ts';
import { readModel } from '../../lib/onnx/graph.ts';
import { ModelProtoSchema, NodeProtoSchema } from '../../lib/onnx/onnx_pb.ts';
import { tensorProto } from '../../lib/onnx/tensor.ts';
import { DataFixture } from '../support/integration-data.ts';
import { type Tree, treeBytes } from '../support/tree-model.ts';

const ROWS = 1_200;
/** Values that are recognised wherever they stand: cities by a syllable, numbers by their digits. */
const SQL = `SELECT
  'Ortsname-' || (i % 7) AS city,
  (i % 3 = 0) AS member,
  20.0625 + (i * 7919 % ${ROWS}) * 0.0517 AS age,
  40000.5 + (i % 9) * 1717.25 AS salary,
  DATE '1961-03-04' + (i * 31 % 17000)::INTEGER AS born,
  'plan ' || (i % 4) AS plan,
  (i * 104729 % ${ROWS})::DOUBLE AS amount,
  (i % 10)::DOUBLE AS y
FROM range(${ROWS}) r(i)`;
const PERSONAL = ['city', 'member', 'age', 'salary', 'born'];
/** What the trees add to an answer where a column is above its median. */
const WEIGHTS = [1, 2, 3];

let data: DataFixture;
let job: ExplainJob;
let trees: Uint8Array;
let preprocess: Uint8Array;
let values: Set<string>;
let rows: readonly RawRow[];

beforeAll(async () => {
  data = await DataFixture.create();
  const { path, table, relation } = await data.table(SQL);
  const features = featuresSpec.parse({});
  const raw = featureColumns(table.columns, {
    columns: { target: 'y', entity: [], ignored: [] },
    features,
  });
  const { plan } = await fitFeatures(data.database.connection, relation, raw, features, { preset: 'tree' });
  preprocess = preprocessGraph(plan);
  const folder = await data.scratch();
  const preprocessPath = await data.store.path(await data.store.putBytes(preprocess, 'application/onnx'));
  const matrixPath = join(folder, 'matrix.npy');
  const { columns } = await transformTable({ parquetPath: path, plan, preprocessPath, outPath: matrixPath });
  const matrix = (await readNpy(matrixPath)).data;
  trees = treeBytes(
    Array.from({ length: columns }, (_, column): Tree => {
      const sorted = Array.from({ length: ROWS }, (_row, row) => matrix[row * columns + column] ?? 0).sort(
        (a, b) => a - b,
      );
      const [no, yes] = [{ leaf: [WEIGHTS[column % 3] ?? 1] }, { leaf: [0] }];
      return { feature: column, threshold: sorted[ROWS / 2] ?? 0, yes, no };
    }),
    columns,
    1,
  );
  const { onnx, signature } = composeModel(preprocess, trees, { task: 'regression', classNames: [] });
  const samples = await sampleRows(data.database, path, signature, new Float64Array(ROWS), ROWS);
  rows = samples.rows;
  values = new Set();
  for (const name of PERSONAL) {
    const found = await data.database.rows(
      `SELECT DISTINCT CAST("${name}" AS VARCHAR) AS v FROM ${relation}`,
    );
    if (name !== 'member') for (const { v } of found) values.add(String(v));
    if (name === 'born') for (const row of rows) values.add(String(row.born));
  }
  const modelPath = join(folder, 'model.onnx');
  const samplesPath = join(folder, 'samples.json');
  await writeFile(modelPath, onnx);
  await writeFile(samplesPath, JSON.stringify({ rows: rows.slice(0, 40), expected: {} }));
  job = {
    modelPath,
    signature,
    problem: {
      task: 'regression',
      classNames: [],
      positiveClass: null,
      quantile: 0.5,
      baseline: { classShares: [], mean: 4.5 },
    },
    metric: 'root_mean_squared_error',
    target: 'y',
    seed: 1,
    confidence: 0.95,
    testPath: path,
    testRows: ROWS,
    samplesPath,
    matrixPath,
    sources: columnSources(
      plan,
      signature.inputs.map(({ name }) => name),
    ),
    personal: PERSONAL,
    rowsMayBeShown: false,
    slices: [],
  };
}, 120_000);
afterAll(() => data.close());

describe('the explanation of a model of people', () => {
  it('tells no value and no category of a personal column, and nothing of a single row', async () => {
    const { report, explainer, plots } = await explained(job);
    const curves = new Map(report.dependence.map((curve) => [curve.column, curve]));
    // All kinds of columns are told about, or else there would be nothing to hide.
    const told = [...curves.keys()].filter((name) => PERSONAL.includes(name));
    expect(told.length).toBeGreaterThanOrEqual(3);
    for (const name of told) {
      const { kind, grid } = curves.get(name) ?? { kind: 'number', grid: [] };
      if (name === 'city' || name === 'member')
        expect(grid).toEqual(grid.map((_, index) => `category ${index + 1}`));
      else {
        expect(kind).toBe('share');
        expect(grid.every((share) => Number(share) >= 0 && Number(share) <= 1)).toBe(true);
      }
    }
    expect(report.dependence.every((curve) => curve.rows.length === 0)).toBe(true);
    expect(report.attributions.examples).toEqual([]);
    expect(report.slices.every(({ slice }) => !PERSONAL.some((name) => slice.startsWith(name)))).toBe(true);

    const pictures = plots.map(({ svg }) => svg.replaceAll(/http:[^"]*/g, ''));
    const files = [JSON.stringify(report), JSON.stringify(explainer), ...pictures];
    for (const file of files) {
      const numbers = new Set(file.match(/\d+(?:[.-]\d+)*/g));
      expect([...values].filter((value) => numbers.has(value))).toEqual([]);
      expect(file).not.toContain('Ortsname');
      expect(file).not.toMatch(/(?<![\d.])(19[6-9]|200)\d(?![\d.])/);
    }
  });

  it('names values of other columns that several rows have, and shows rows where it may', async () => {
    const { report } = await explained({ ...job, personal: [], rowsMayBeShown: true });
    expect(JSON.stringify(report.dependence)).toContain('Ortsname-1');
    expect(report.dependence.some((curve) => curve.rows.length > 0)).toBe(true);
    expect(report.attributions.examples).toHaveLength(3);
    const salary = report.dependence.find(({ column }) => column === 'salary');
    expect(salary?.grid).toHaveLength(9);
  });
});

describe('attributions of trees', () => {
  it('add up to what the model answers', async () => {
    const { report } = await explained(job);
    expect(report.attributions).toMatchObject({ method: 'tree', unit: 'target' });
    expect(report.attributions.largestGap).toBeLessThan(1e-4);
  });

  it('are sampled where the model answers something else than its trees on rows that the background lacks', async () => {
    const plain = await Predictor.create(
      composeModel(preprocess, trees, { task: 'regression', classNames: [] }).onnx,
      job.signature,
    );
    const answers = await plain.answers(batchOf(rows, job.signature)).finally(() => plain.close());
    const most = [...answers].sort((a, b) => a - b)[ROWS / 2] ?? 0;
    const { onnx } = composeModel(preprocess, atMost(trees, most), { task: 'regression', classNames: [] });
    const folder = await data.scratch();
    const [modelPath, samplesPath] = [join(folder, 'model.onnx'), join(folder, 'samples.json')];
    await writeFile(modelPath, onnx);
    const below = rows.filter((_, row) => (answers[row] ?? 0) <= most).slice(0, 40);
    await writeFile(samplesPath, JSON.stringify({ rows: below, expected: {} }));
    const { report, explainer } = await explained({ ...job, modelPath, samplesPath });
    expect([report.attributions.method, explainer.method]).toEqual(['sampled', 'sampled']);
    expect(report.attributions.largestGap).toBeLessThan(1e-4);
    expect(report.notes.join(' ')).toContain('contributions are sampled');
  });
});

/** The model with its answers cut off. */
function atMost(model: Uint8Array, most: number): Uint8Array {
  const proto = readModel(model);
  for (const node of proto.graph.node) node.output = node.output.map(() => 'uncut');
  proto.graph.initializer.push(tensorProto('most', { type: 'float', dims: [], data: [most] }));
  proto.graph.node.push(
    create(NodeProtoSchema, { opType: 'Min', input: ['uncut', 'most'], output: ['prediction'] }),
  );
  return toBinary(ModelProtoSchema, proto);
}

import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { type DuckDBConnection, DuckDBInstance } from '@duckdb/node-api';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { isTextInput } from '../../contracts/serving.ts';
import { featuresSpec } from '../../contracts/spec/features.ts';
import type { Task } from '../../contracts/spec/task.ts';
import type { FeaturePlan, RawColumn } from '../../lib/features/feature-plan.ts';
import { fitFeatures, sqlTypes } from '../../lib/features/fit.ts';
import { preprocessGraph } from '../../lib/features/preprocess-graph.ts';
import { rawColumnsSql } from '../../lib/features/raw-sql.ts';
import { scoreTable, transformTable } from '../../lib/features/transform.ts';
import { writeNpy } from '../../lib/npy.ts';
import { composeModel } from '../../lib/onnx/compose.ts';
import { OnnxGraphBuilder } from '../../lib/onnx/graph.ts';

const ROWS = 1500;
const COLUMNS: RawColumn[] = [
  { name: 'dep "delay"', kind: 'numeric' },
  { name: 'größe', kind: 'numeric' },
  { name: 'member', kind: 'boolean' },
  { name: 'job', kind: 'categorical' },
  { name: 'at', kind: 'datetime' },
  { name: 'town', kind: 'categorical' },
  { name: 'note', kind: 'text' },
  { name: 'constant', kind: 'numeric' },
];
const CLASSES: Record<Task, string[]> = {
  binary: ['no', 'yes'],
  multiclass: ['low', 'mid/range', 'höch'],
  regression: [],
};
const MODELS = [
  ['lightgbm-binary', 'binary'],
  ['lightgbm-multiclass', 'multiclass'],
  ['lightgbm-regression', 'regression'],
  ['logistic-binary', 'binary'],
] as const;

const python =
  process.env.PERENNIAL_PYTHON ?? fileURLToPath(new URL('../../.venv/bin/python', import.meta.url));
const script = fileURLToPath(new URL('./features-python.py', import.meta.url));
const runPython = (...args: string[]) => promisify(execFile)(python, [script, ...args]);

let folder: string;
let connection: DuckDBConnection;
let plan: FeaturePlan;
let preprocess: Uint8Array;
let parquetPath: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'perennial-compose-'));
  parquetPath = join(folder, 'rows.parquet');
  connection = await (await DuckDBInstance.create(':memory:')).connect();
  await connection.run(`COPY (SELECT
      CASE WHEN i % 11 = 0 THEN NULL ELSE sin(i) * 30 END AS "dep ""delay""",
      (i * 37) % 101 AS "größe",
      i % 3 = 0 AS member,
      ['admin', 'blue-collar', 'O''Neil', NULL, 'None'][1 + i % 5] AS job,
      ['Ulm', 'Ürzig'][1 + i % 2] AS town,
      ['late AGAIN', 'on time', 'None', NULL, 'again and again'][1 + i % 5] AS note,
      TIMESTAMP '1969-11-03 05:00:00' + INTERVAL (i * 31) HOUR AS at,
      7 AS constant
    FROM range(${ROWS}) AS rows(i)) TO '${parquetPath}' (FORMAT parquet)`);
  const spec = featuresSpec.parse({
    derived: [{ cross: ['job', 'town'] }, { ratio: ['dep "delay"', 'größe'] }],
    columns: { größe: { bins: 4 }, 'dep "delay"': { log: true } },
  });
  ({ plan } = await fitFeatures(connection, `'${parquetPath}'`, COLUMNS, spec, { preset: 'linear' }));
  preprocess = preprocessGraph(plan);
  await writeFile(join(folder, 'preprocess.onnx'), preprocess);
  const outPath = join(folder, 'features.npy');
  await transformTable({ parquetPath, plan, preprocessPath: join(folder, 'preprocess.onnx'), outPath });
  const signal = Array.from(
    { length: ROWS },
    (_, i) => Math.sin(i) + ((i * 37) % 101) / 60 + Number(i % 5 === 1),
  );
  await writeNpy(
    join(folder, 'binary.npy'),
    Int32Array.from(signal, (value) => Number(value > 1)),
    [ROWS],
  );
  await writeNpy(
    join(folder, 'multiclass.npy'),
    Int32Array.from(signal, (value) => Number(value > 0.5) + Number(value > 1.5)),
    [ROWS],
  );
  await writeNpy(join(folder, 'regression.npy'), Float32Array.from(signal), [ROWS]);
  await runPython('train', folder);
}, 120_000);

afterAll(async () => {
  await rm(folder, { recursive: true, force: true });
});

async function rawFeeds(): Promise<Record<string, Tensor>> {
  const types = await sqlTypes(connection, `'${parquetPath}'`);
  const reader = await connection.runAndReadAll(
    `SELECT ${rawColumnsSql(COLUMNS, types)} FROM '${parquetPath}'`,
  );
  const columns = reader.getColumnsJS();
  return Object.fromEntries(
    COLUMNS.map(({ name, kind }, index): [string, Tensor] => {
      const values = columns[index] ?? [];
      if (isTextInput(kind)) return [name, new Tensor('string', values.map(String), [ROWS])];
      return [name, new Tensor(kind === 'datetime' ? 'float64' : 'float32', values.map(Number), [ROWS])];
    }),
  );
}

const numbers = (tensor: Tensor | undefined) => Array.from(tensor?.data ?? [], Number);

function expectClose(found: readonly number[], expected: readonly number[], tolerance: number) {
  expect(found).toHaveLength(expected.length);
  const worst = found.reduce(
    (most, value, row) => Math.max(most, Math.abs(value - (expected[row] ?? Number.NaN))),
    0,
  );
  expect(worst).toBeLessThanOrEqual(tolerance);
}

describe('composed models', () => {
  it('answer like both graphs apart, in onnxruntime-node, in Python and in a table process', async () => {
    const feeds = await rawFeeds();
    const plain = Object.entries(feeds).map(([name, { data }]) => [
      name,
      Array.from<unknown>(data).map((value) => (Number.isNaN(value) ? null : value)),
    ]);
    await writeFile(join(folder, 'inputs.json'), JSON.stringify(Object.fromEntries(plain)));
    const features = (await (await InferenceSession.create(preprocess)).run(feeds)).features;
    if (!features) throw new Error('no features');
    const ours: Record<string, Record<string, unknown[]>> = {};

    for (const [name, task] of MODELS) {
      const trained = await readFile(join(folder, `${name}.onnx`));
      const { onnx, signature } = composeModel(preprocess, trained, { task, classNames: CLASSES[task] });
      await writeFile(join(folder, `composed-${name}.onnx`), onnx);
      const session = await InferenceSession.create(onnx);
      expect(session.inputNames).toEqual(COLUMNS.map((column) => column.name));
      expect(session.outputNames).toEqual(signature.outputs.map((output) => output.name));
      const composed = await session.run(feeds);
      ours[`composed-${name}`] = Object.fromEntries(
        Object.entries(composed).map(([key, { data }]) => [key, Array.from<unknown>(data)]),
      );

      const alone = await InferenceSession.create(trained);
      const output = alone.outputNames.at(-1) ?? '';
      const apart = numbers((await alone.run({ [alone.inputNames[0] ?? '']: features }, [output]))[output]);
      const classes = CLASSES[task].length;
      const scores = await scoreTable({
        parquetPath,
        signature,
        modelPath: join(folder, `composed-${name}.onnx`),
        scratchDir: folder,
        batchRows: 400,
      });
      expect(scores.rows).toBe(ROWS);
      if (task === 'multiclass') {
        expect(signature.outputs.map((item) => item.name)).toEqual([
          'label',
          'probability_low',
          'probability_mid_range',
          'probability_höch',
        ]);
        expectClose([...scores.values], apart, 1e-6);
        const best = Array.from({ length: ROWS }, (_, row) => {
          const own = apart.slice(row * classes, (row + 1) * classes);
          return CLASSES.multiclass[own.indexOf(Math.max(...own))];
        });
        expect(composed.label?.data).toEqual(best);
      } else {
        const expected = task === 'binary' ? apart.filter((_, at) => at % 2 === 1) : apart;
        expectClose(numbers(composed[task === 'binary' ? 'probability' : 'prediction']), expected, 1e-6);
        expectClose([...scores.values], expected, 1e-6);
        if (task === 'binary')
          expect(composed.label?.data).toEqual(expected.map((value) => (value >= 0.5 ? 'yes' : 'no')));
      }
      // A model that says the same for all rows would agree with anything.
      expect(new Set(apart.map((value) => value.toFixed(3))).size).toBeGreaterThan(10);
    }

    await runPython('run', folder, JSON.stringify(Object.keys(ours)));
    const theirs = JSON.parse(await readFile(join(folder, 'answers.json'), 'utf8'));
    expect(Object.keys(theirs)).toEqual(Object.keys(ours));
    for (const [name, outputs] of Object.entries(ours)) {
      for (const [output, values] of Object.entries(outputs)) {
        if (output === 'label') expect(theirs[name][output]).toEqual(values);
        else expectClose(values.map(Number), theirs[name][output], 1e-6);
      }
    }
  }, 120_000);

  it('give the probability of the positive class, and its label from the threshold on', async () => {
    // Probabilities [features 0, 1 - features 0] whatever the training.
    const width = plan.matrix.length;
    const graph = new OnnxGraphBuilder('given');
    const features = graph.input('features', 'float', ['n', width]);
    const at = (index: number) => graph.initializer('at', { type: 'int64', dims: [1], data: [index] });
    const first = graph.op('Sigmoid', [graph.op('Gather', [features, at(0)], { attributes: { axis: 1n } })]);
    const one = graph.initializer('one', { type: 'float', dims: [], data: [1] });
    graph.op('Concat', [first, graph.op('Sub', [one, first])], {
      attributes: { axis: 1n },
      output: 'probabilities',
    });
    graph.output('probabilities', 'float', ['n', 2]);
    const { onnx } = composeModel(preprocess, graph.build(), {
      task: 'binary',
      classNames: ['a', 'b'],
      positiveClass: 'a',
      threshold: 0.7,
    });
    const { probability, label } = await (await InferenceSession.create(onnx)).run(await rawFeeds());
    const matrix = await (await InferenceSession.create(preprocess)).run(await rawFeeds());
    const expected = numbers(matrix.features)
      .filter((_, index) => index % width === 0)
      .map((value) => 1 / (1 + Math.exp(-value)));
    expectClose(numbers(probability), expected, 1e-5);
    expect(label?.data).toEqual(numbers(probability).map((value) => (value >= Math.fround(0.7) ? 'a' : 'b')));
    expect(new Set<unknown>(Array.isArray(label?.data) ? label.data : [])).toEqual(new Set(['a', 'b']));
  });
});

import { InferenceSession, Tensor } from 'onnxruntime-node';
import { beforeAll, describe, expect, it } from 'vitest';
import { isNumberInput, isTextInput, type ModelSignature } from '../../contracts/serving.ts';
import { servingGraph } from '../../lib/onnx/serving-graph.ts';
import { type ColumnBatch, type InputColumn, TabularSession } from '../../lib/onnx/tabular-session.ts';
import { linearCongruential } from '../support/integration-random.ts';
import { type TrainedModel, trainedModels } from '../support/trained-models.ts';

const SIZES = [1, 2, 3, 7, 16, 33, 100, 255, 300];
const TEXTS = ['admin', 'blue-collar', '', 'None', 'late again', 'never seen', '北京', 'on time on time'];
const EDGES = [Number.NaN, Infinity, -Infinity, 0, -0, 3.4e38, -3.4e38, 1e-40];

/** Random rows, every fourth value an edge case; laid out as one block of numbers, or column by column. */
function randomBatch({ inputs }: ModelSignature, rows: number, seed: number, asBlock: boolean): ColumnBatch {
  const random = linearCongruential(rows * inputs.length * 3, seed);
  let next = 0;
  const draw = (): number => random[next++ % random.length] ?? 0;
  const width = inputs.filter(({ kind }) => isNumberInput(kind)).length;
  const numbers = new Float32Array(width * rows);
  let start = 0;
  const columns = new Map<string, InputColumn>();
  for (const { name, kind } of inputs) {
    const edge = (): number | undefined =>
      draw() < 0.25 ? EDGES[Math.floor(draw() * EDGES.length)] : undefined;
    if (isTextInput(kind)) {
      const text = (): string => TEXTS[Math.floor(draw() * TEXTS.length)] ?? '';
      columns.set(name, Array.from({ length: rows }, text));
    } else if (kind === 'datetime') {
      const moment = (): number => edge() ?? 1.3e9 + draw() * 1e8;
      columns.set(name, Float64Array.from({ length: rows }, moment));
    } else {
      const view = asBlock ? numbers.subarray(start, start + rows) : new Float32Array(rows);
      start += rows;
      for (let row = 0; row < rows; row++)
        view[row] = edge() ?? (kind === 'boolean' ? Number(draw() > 0.5) : (draw() - 0.5) * 60);
      columns.set(name, view);
    }
  }
  return { rows, columns, ...(asBlock ? { numbers } : {}) };
}

/** What the engine itself says of the model as it is registered. */
async function plainAnswers(
  session: InferenceSession,
  { inputs, outputs }: ModelSignature,
  { rows, columns }: ColumnBatch,
): Promise<(string | readonly string[])[]> {
  const feeds = Object.fromEntries(
    inputs.map(({ name }): [string, Tensor] => {
      const column = columns.get(name);
      if (column instanceof Float32Array) return [name, new Tensor('float32', column, [rows])];
      if (column instanceof Float64Array) return [name, new Tensor('float64', column, [rows])];
      return [name, new Tensor('string', column ?? [], [rows])];
    }),
  );
  const found = await session.run(feeds);
  return outputs.map(({ name }) => bitsOf(found[name]?.data));
}

const bitsOf = (data: unknown): string | readonly string[] =>
  data instanceof Float32Array
    ? Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString('hex')
    : Array.isArray(data)
      ? data.map(String)
      : 'neither floats nor texts';

async function expectSameAnswers({ name, onnx, signature }: TrainedModel): Promise<void> {
  const plain = await InferenceSession.create(onnx, { intraOpNumThreads: 1, logSeverityLevel: 4 });
  const session = await TabularSession.create(onnx, signature);
  for (const [seed, rows] of SIZES.entries()) {
    for (const asBlock of [true, false]) {
      const batch = randomBatch(signature, rows, seed + 1, asBlock);
      const { columns } = await session.run(batch);
      const expected = await plainAnswers(plain, signature, batch);
      expect(
        columns.map(({ data }) => bitsOf(data)),
        `${name}, ${rows} rows`,
      ).toEqual(expected);
    }
  }
  await session.close();
  await plain.release();
}

describe('the serving graph of trained models', () => {
  let models: TrainedModel[];
  beforeAll(async () => {
    models = await trainedModels();
  }, 240_000);

  it('answers as the registered one, bit for bit', async () => {
    expect(models.length).toBeGreaterThan(40);
    for (const model of models) await expectSameAnswers(model);
  }, 240_000);

  it('does so for a signature that names the columns in another order', async () => {
    for (const { name, onnx, signature } of models) {
      const inputs = [...signature.inputs.slice(3).reverse(), ...signature.inputs.slice(0, 3)];
      await expectSameAnswers({ name, onnx, signature: { ...signature, inputs } });
    }
  }, 240_000);

  it('has one input for all numbers, and no text to answer', () => {
    for (const { name, onnx, signature } of models) {
      const { packed, coded } = servingGraph(onnx, signature);
      expect(packed, name).toBeDefined();
      expect([...coded.keys()], name).toEqual(name.endsWith('regression') ? [] : ['label']);
    }
  });
});

import { describe, expect, it } from 'vitest';
import type { ModelSignature } from '../../contracts/serving.ts';
import { OnnxGraphBuilder } from '../../lib/onnx/graph.ts';
import { type ColumnBatch, TabularSession } from '../../lib/onnx/tabular-session.ts';
import { MicroBatcher } from '../../serving/micro-batcher.ts';
import { CHURN_SIGNATURE, churnModel, churnProbability } from './serving-models.ts';

const CITIES = ['Ulm', 'Bonn', '', 'Köln', '北京'];

/** Rows `from` … `from + rows`, each different. */
function batchOf(from: number, rows: number): ColumnBatch {
  const index = Array.from({ length: rows }, (_, row) => from + row);
  return {
    rows,
    columns: new Map<string, Float32Array | Float64Array | string[]>([
      ['age', Float32Array.from(index, (i) => 18 + (i % 60))],
      ['city', index.map((i) => CITIES[i % CITIES.length] ?? '')],
      ['active', Float32Array.from(index, (i) => (i % 3 === 0 ? Number.NaN : i % 2))],
      ['joined', Float64Array.from(index, (i) => 1_600_000_000 + i * 86_400)],
    ]),
  };
}

const expected = (i: number): number =>
  churnProbability({
    age: 18 + (i % 60),
    city: CITIES[i % CITIES.length] ?? '',
    active: i % 3 === 0 ? 0 : i % 2,
    joined: 1_600_000_000 + i * 86_400,
  });

function signature(change: (copy: ModelSignature) => void): ModelSignature {
  const copy = structuredClone(CHURN_SIGNATURE);
  change(copy);
  return copy;
}

/** A model `y = x` whose tensors have the given shape. */
function identity(dims: (number | string)[], type: 'float' | 'int64' = 'float'): Uint8Array {
  const graph = new OnnxGraphBuilder('identity');
  graph.op('Identity', [graph.input('x', type, dims)], { output: 'y' });
  graph.output('y', type, dims);
  return graph.build();
}
const IDENTITY: ModelSignature = {
  inputs: [{ name: 'x', kind: 'numeric', optional: false }],
  outputs: [{ name: 'y', kind: 'float' }],
};

describe('TabularSession', () => {
  it('predicts what the formula says', async () => {
    const session = await TabularSession.create(churnModel(), CHURN_SIGNATURE);
    const { rows, columns } = await session.run(batchOf(0, 200));
    const [label, probability] = columns;
    expect(rows).toBe(200);
    for (let i = 0; i < 200; i++) {
      expect(probability?.data[i]).toBeCloseTo(expected(i), 5);
      expect(label?.data[i]).toBe(expected(i) > 0.5 ? 'yes' : 'no');
    }
    await session.close();
  });

  it.each<[string, ModelSignature, string]>([
    [
      'an input that the graph does not have',
      signature((s) => s.inputs.push({ name: 'income', kind: 'numeric', optional: true })),
      'the signature names the input "income", which the graph does not have',
    ],
    [
      'an input that the signature does not name',
      signature((s) => s.inputs.pop()),
      'the graph has the input "joined", which the signature does not name',
    ],
    [
      'an output that the signature does not name',
      signature((s) => s.outputs.pop()),
      'the graph has the output "probability", which the signature does not name',
    ],
    [
      'a wrong input type',
      signature((s) => s.inputs.splice(1, 1, { name: 'city', kind: 'numeric', optional: true })),
      'the input "city" is numeric, so the graph\'s tensor must be float32, but it is string',
    ],
    [
      'a date that is no double',
      signature((s) => s.inputs.splice(0, 1, { name: 'age', kind: 'datetime', optional: true })),
      'the input "age" is datetime, so the graph\'s tensor must be float64, but it is float32',
    ],
    [
      'a wrong output type',
      signature((s) => s.outputs.splice(0, 1, { name: 'label', kind: 'float' })),
      'the output "label" is float, so the graph\'s tensor must be float32 or float64, but it is string',
    ],
    [
      'a name twice',
      signature((s) => s.inputs.push({ name: 'age', kind: 'numeric', optional: true })),
      'the signature\'s input "age" is there twice or has a reserved name',
    ],
  ])('refuses %s', async (_name, wrong, message) => {
    await expect(TabularSession.create(churnModel(), wrong)).rejects.toMatchObject({
      code: 'ModelInvalid',
      message: expect.stringContaining(message),
    });
  });

  it.each<[string, Uint8Array, string]>([
    ['a matrix', identity(['batch', 1]), 'must have the shape [batch], but the graph says [batch, 1]'],
    ['a fixed batch', identity([4]), 'must have the shape [batch], but the graph says [4]'],
    ['integers', identity(['batch'], 'int64'), 'must be float32, but it is int64'],
    ['no model', Buffer.from('no model'), 'the model cannot be loaded'],
  ])('refuses %s', async (_name, bytes, message) => {
    await expect(TabularSession.create(bytes, IDENTITY)).rejects.toMatchObject({
      code: 'ModelInvalid',
      message: expect.stringContaining(message),
    });
  });

  it('refuses a batch that the engine would quietly misread', async () => {
    const session = await TabularSession.create(identity(['batch']), IDENTITY);
    const run = (columns: [string, Float32Array | Float64Array | string[]][], rows = 1): Promise<unknown> =>
      session.run({ rows, columns: new Map(columns) });
    await expect(run([])).rejects.toThrow('column "x" is not in the batch');
    await expect(run([['x', ['1']]])).rejects.toThrow('column "x" is numeric and must be a Float32Array');
    await expect(run([['x', Float64Array.of(1)]])).rejects.toThrow('must be a Float32Array');
    await expect(run([['x', Float32Array.of(1, 2)]])).rejects.toThrow('has 2 values, the batch 1 rows');
    await session.close();
  });

  it('answers what is under way before it closes, and nothing afterwards', async () => {
    const session = await TabularSession.create(churnModel(), CHURN_SIGNATURE);
    const underWay = session.run(batchOf(0, 3));
    await session.close();
    expect((await underWay).rows).toBe(3);
    await expect(session.run(batchOf(0, 3))).rejects.toMatchObject({ code: 'ModelInvalid' });
    await session.close();
  });
});

describe('MicroBatcher', () => {
  it('gives every request its own rows', async () => {
    const batcher = new MicroBatcher(await TabularSession.create(churnModel(), CHURN_SIGNATURE));
    const sizes = Array.from({ length: 60 }, (_, index) => 1 + ((index * 7) % 40));
    let from = 0;
    const starts = sizes.map((size) => {
      from += size;
      return from - size;
    });
    const answers = await Promise.all(
      sizes.map((size, index) => batcher.run(batchOf(starts[index] ?? 0, size))),
    );
    for (const [index, { rows, columns }] of answers.entries()) {
      expect(rows).toBe(sizes[index]);
      for (const column of columns) expect(column.data).toHaveLength(rows);
      for (let row = 0; row < rows; row++) {
        const i = (starts[index] ?? 0) + row;
        expect(columns[1]?.data[row]).toBeCloseTo(expected(i), 5);
        expect(columns[0]?.data[row]).toBe(expected(i) > 0.5 ? 'yes' : 'no');
      }
    }
    await batcher.close();
  });

  it('refuses a malformed batch without harm to its neighbours', async () => {
    const batcher = new MicroBatcher(await TabularSession.create(churnModel(), CHURN_SIGNATURE));
    const short = batchOf(0, 2);
    const answers = await Promise.allSettled([
      batcher.run(batchOf(0, 1)),
      batcher.run({ rows: 3, columns: short.columns }),
      batcher.run(batchOf(1, 1)),
    ]);
    expect(answers.map((answer) => answer.status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
    await batcher.close();
  });

  it('does not pad a column that is too short for its rows', async () => {
    const batcher = new MicroBatcher(await TabularSession.create(identity(['batch']), IDENTITY));
    const run = (rows: number, ...x: number[]): Promise<unknown> =>
      batcher.run({ rows, columns: new Map([['x', Float32Array.from(x)]]) });
    const answers = await Promise.allSettled([run(1, 1), run(2, 2), run(1, 3)]);
    expect(answers.map((answer) => answer.status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
    await batcher.close();
  });

  it('runs each alone where the shared run fails', async () => {
    // Reshape to [-1, 4] fails where the number of rows is no multiple of four.
    const graph = new OnnxGraphBuilder('fours');
    const x = graph.input('x', 'float', ['batch']);
    const shape = (data: number[]): string =>
      graph.initializer('shape', { type: 'int64', dims: [data.length], data });
    graph.op('Reshape', [graph.op('Reshape', [x, shape([-1, 4])]), shape([-1])], { output: 'y' });
    graph.output('y', 'float', ['batch']);
    const batcher = new MicroBatcher(await TabularSession.create(graph.build(), IDENTITY));
    const run = (...x: number[]): Promise<unknown> =>
      batcher.run({ rows: x.length, columns: new Map([['x', Float32Array.from(x)]]) });
    const answers = await Promise.allSettled([run(1, 2, 3, 4), run(5), run(6, 7, 8, 9)]);
    expect(answers.map((answer) => answer.status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
    expect(answers[2]).toMatchObject({ value: { columns: [{ data: Float32Array.of(6, 7, 8, 9) }] } });
    await batcher.close();
  });

  it('answers what waits before it closes', async () => {
    const batcher = new MicroBatcher(await TabularSession.create(churnModel(), CHURN_SIGNATURE));
    const waiting = [batcher.run(batchOf(0, 1)), batcher.run(batchOf(1, 1))];
    await batcher.close();
    for (const answer of await Promise.all(waiting)) expect(answer.rows).toBe(1);
  });
});

import { create, toBinary } from '@bufbuild/protobuf';
import { describe, expect, it } from 'vitest';
import type { ModelSignature } from '../../contracts/serving.ts';
import { OnnxGraphBuilder, readModel } from '../../lib/onnx/graph.ts';
import {
  AttributeProto_AttributeType,
  AttributeProtoSchema,
  GraphProtoSchema,
  ModelProtoSchema,
  NodeProtoSchema,
} from '../../lib/onnx/onnx_pb.ts';
import { servingGraph } from '../../lib/onnx/serving-graph.ts';
import { TabularSession } from '../../lib/onnx/tabular-session.ts';

const NAMES = ['a', 'b', 'c', 'd', 'e', 'f'];
const signatureOf = (names: readonly string[], text = false): ModelSignature => ({
  inputs: names.map((name) => ({ name, kind: 'numeric', optional: true })),
  outputs: text ? [{ name: 'label', kind: 'string' }] : [{ name: 'y', kind: 'float' }],
});

/** The sum over the columns of what `join` makes of them, which has as many rows as it has names. */
function summed(
  names: readonly string[],
  joined: readonly string[],
  more: (graph: OnnxGraphBuilder, sum: string) => string = (_graph, sum) => sum,
  opset?: number,
): Uint8Array {
  const graph = new OnnxGraphBuilder('sum', opset);
  for (const name of names) graph.input(name, 'float', ['batch']);
  const flat = graph.op('Concat', joined, { attributes: { axis: 0n } });
  const shape = graph.initializer('shape', { type: 'int64', dims: [2], data: [joined.length, -1] });
  const weights = graph.initializer('weights', {
    type: 'float',
    dims: [joined.length, 1],
    data: joined.map((_, i) => 10 ** i),
  });
  const axis = graph.initializer('axis', { type: 'int64', dims: [1], data: [0] });
  const weighted = graph.op('Mul', [graph.op('Reshape', [flat, shape]), weights]);
  const sum = graph.op('ReduceSum', [weighted, axis], { attributes: { keepdims: 0n } });
  graph.op('Identity', [more(graph, sum)], { output: 'y' });
  graph.output('y', 'float', ['batch']);
  return graph.build();
}

const operators = (onnx: Uint8Array): string[] => readModel(onnx).graph.node.map(({ opType }) => opType);
const inputs = (onnx: Uint8Array): string[] => readModel(onnx).graph.input.map(({ name }) => name);

/** Two rows: 1 and 2 in the first column, 3 and 4 in the second, and so on. */
async function answers(onnx: Uint8Array, signature: ModelSignature): Promise<unknown[]> {
  const session = await TabularSession.create(onnx, signature);
  const numbers = Float32Array.from({ length: signature.inputs.length * 2 }, (_, i) => i + 1);
  const columns = new Map(
    signature.inputs.map(({ name }, i) => [name, numbers.subarray(i * 2, i * 2 + 2)] as const),
  );
  const found = await session.run({ rows: 2, columns });
  await session.close();
  return found.columns.map(({ data }) => Array.from<unknown>(data));
}

describe('the numbers of a served model', () => {
  it('take the place of the Concat that put them together', async () => {
    const onnx = summed(NAMES, NAMES);
    const serving = servingGraph(onnx, signatureOf(NAMES));
    expect(inputs(serving.onnx)).toEqual([serving.packed]);
    expect(operators(serving.onnx)).toEqual(operators(onnx).slice(1));
    expect(await answers(onnx, signatureOf(NAMES))).toEqual([
      [1197531, 1308642].map((v) => expect.closeTo(v)),
    ]);
  });

  it('are gathered where the graph wants some of them, in another order, or one by itself', async () => {
    const onnx = summed(NAMES, ['e', 'c', 'a'], (graph, sum) => graph.op('Sub', [sum, 'f']));
    const serving = servingGraph(onnx, signatureOf(NAMES));
    expect(inputs(serving.onnx)).toEqual([serving.packed]);
    expect(operators(serving.onnx).filter((name) => name === 'Gather')).toHaveLength(2);
    expect(await answers(onnx, signatureOf(NAMES))).toEqual([
      [9 + 50 + 100 - 11, 10 + 60 + 200 - 12].map((value) => expect.closeTo(value)),
    ]);
  });

  const inner = (onnx: Uint8Array): Uint8Array => {
    const model = readModel(onnx);
    const attribute = [
      create(AttributeProtoSchema, {
        name: 'then_branch',
        type: AttributeProto_AttributeType.GRAPH,
        g: create(GraphProtoSchema, { node: [create(NodeProtoSchema, { opType: 'Neg', input: ['a'] })] }),
      }),
    ];
    model.graph.node.push(create(NodeProtoSchema, { opType: 'If', input: ['q'], output: ['r'], attribute }));
    return toBinary(ModelProtoSchema, model);
  };
  const withDefault = (onnx: Uint8Array): Uint8Array => {
    const model = readModel(onnx);
    const [first] = model.graph.initializer;
    if (first) model.graph.initializer.push({ ...first, name: 'a' });
    return toBinary(ModelProtoSchema, model);
  };
  it.each<[string, Uint8Array, ModelSignature]>([
    ['has one number', summed(['a'], ['a']), signatureOf(['a'])],
    ['reads many of them one by one', oneByOne(), signatureOf(NAMES)],
    ['has an inner graph', inner(summed(NAMES, NAMES)), signatureOf(NAMES)],
    ['has a default for a number', withDefault(summed(NAMES, NAMES)), signatureOf(NAMES)],
    ['has operators of long ago', summed(NAMES, NAMES, undefined, 12), signatureOf(NAMES)],
    ['has not the numbers of the signature', summed(NAMES, NAMES), signatureOf([...NAMES, 'g'])],
    ['has a name twice in the signature', summed(NAMES, NAMES), signatureOf([...NAMES, 'a'])],
  ])('stay apart where the graph %s', (_name, onnx, signature) => {
    const serving = servingGraph(onnx, signature);
    expect(serving.onnx).toBe(onnx);
    expect(serving.packed).toBeUndefined();
  });
});

function oneByOne(): Uint8Array {
  const graph = new OnnxGraphBuilder('apart');
  for (const name of NAMES) graph.input(name, 'float', ['batch']);
  graph.op('Sum', NAMES, { output: 'y' });
  graph.output('y', 'float', ['batch']);
  return graph.build();
}

describe('a text output', () => {
  /** `label` is looked up in `names` by what `place` makes of the first column. */
  function labelled(names: string[], place: (graph: OnnxGraphBuilder, x: string) => string): Uint8Array {
    const graph = new OnnxGraphBuilder('label');
    for (const name of ['a', 'b']) graph.input(name, 'float', ['batch']);
    const list = graph.initializer('names', { type: 'string', dims: [names.length], data: names });
    graph.op('Gather', [list, place(graph, 'a')], { attributes: { axis: 0n }, output: 'label' });
    graph.output('label', 'string', ['batch']);
    return graph.build();
  }
  const above = (graph: OnnxGraphBuilder, x: string): string => {
    const limit = graph.initializer('limit', { type: 'float', dims: [], data: [1.5] });
    return graph.op('Cast', [graph.op('Greater', [x, limit])], { attributes: { to: 7n } });
  };
  const signature = signatureOf(['a', 'b'], true);

  it('is answered as its place in the list, and told as the text', async () => {
    const onnx = labelled(['größer', 'nein'], above);
    const { coded } = servingGraph(onnx, signature);
    expect(coded.get('label')?.texts).toEqual(['größer', 'nein']);
    expect(await answers(onnx, signature)).toEqual([['größer', 'nein']]);
  });

  it('stays a text where the place may be any number', async () => {
    const any = (graph: OnnxGraphBuilder, x: string): string =>
      graph.op('Cast', [x], { attributes: { to: 7n } });
    const onnx = labelled(['zero', 'one', 'two'], any);
    expect(servingGraph(onnx, signature).coded.size).toBe(0);
    expect(await answers(onnx, signature)).toEqual([['one', 'two']]);
  });

  it('is an error where it is looked up outside of its list, as in the engine', async () => {
    await expect(answers(labelled(['only'], above), signature)).rejects.toMatchObject({
      code: 'ModelInvalid',
    });
  });
});

import { create, toBinary } from '@bufbuild/protobuf';
import type { ServedModel } from '../../contracts/serving.ts';
import { OnnxGraphBuilder, readModel, valueInfo } from '../../lib/onnx/graph.ts';
import {
  AttributeProto_AttributeType,
  AttributeProtoSchema,
  GraphProtoSchema,
  ModelProtoSchema,
  NodeProtoSchema,
} from '../../lib/onnx/onnx_pb.ts';
import type { ArtifactStore } from '../../lib/store/artifact-store.ts';

/** Above it, the faulty models do what is wrong with them; below, they give `x + add`. */
export const FAULT_ABOVE = 1_000;

const SIGNATURE: ServedModel['signature'] = {
  inputs: [{ name: 'x', kind: 'numeric', optional: false }],
  outputs: [{ name: 'prediction', kind: 'float' }],
};

const served = async (store: ArtifactStore, version: string, bytes: Uint8Array): Promise<ServedModel> => ({
  version,
  onnx: await store.putBytes(bytes, 'application/onnx'),
  signature: SIGNATURE,
});

const float = (graph: OnnxGraphBuilder, value: number): string =>
  graph.initializer('value', { type: 'float', dims: [], data: [value] });

/** An int64: one for usual rows, another where any is above the limit. */
function ifAbove(graph: OnnxGraphBuilder, x: string, dims: number[], usual: number, above: number): string {
  const most = graph.op('ReduceMax', [x], { attributes: { keepdims: 0n } });
  const [yes, no] = [above, usual].map((value) =>
    graph.initializer('count', { type: 'int64', dims, data: [value] }),
  );
  return graph.op('Where', [graph.op('Greater', [most, float(graph, FAULT_ABOVE)]), yes ?? '', no ?? '']);
}

/** `prediction` is NaN where x is above the limit: the root of a negative number, times nought. */
export async function nanModel(store: ArtifactStore, version: string, add: number): Promise<ServedModel> {
  const graph = new OnnxGraphBuilder('nan');
  const x = graph.input('x', 'float', ['batch']);
  const root = graph.op('Sqrt', [graph.op('Sub', [float(graph, FAULT_ABOVE), x])]);
  const nought = graph.op('Mul', [root, float(graph, 0)]);
  graph.op('Sum', [x, nought, float(graph, add)], { output: 'prediction' });
  graph.output('prediction', 'float', ['batch']);
  return served(store, version, graph.build());
}

/** Never returns where any x is above the limit: a loop of 9 · 10^15 turns. Of fewer turns: is slow. */
export async function hangingModel(
  store: ArtifactStore,
  version: string,
  add: number,
  loops = 9e15,
): Promise<ServedModel> {
  const graph = new OnnxGraphBuilder('hanging');
  const x = graph.input('x', 'float', ['batch']);
  const turns = ifAbove(graph, x, [], 1, loops);
  const looped = graph.op('Loop', [turns, '', x]);
  graph.op('Add', [looped, float(graph, add)], { output: 'prediction' });
  graph.output('prediction', 'float', ['batch']);
  const model = readModel(graph.build());
  const identity = (input: string, output: string) =>
    create(NodeProtoSchema, { name: output, opType: 'Identity', input: [input], output: [output] });
  const body = create(GraphProtoSchema, {
    name: 'turn',
    input: [
      valueInfo('turn', 'int64', []),
      valueInfo('going', 'bool', []),
      valueInfo('value', 'float', ['n']),
    ],
    output: [valueInfo('goes-on', 'bool', []), valueInfo('next', 'float', ['n'])],
    node: [identity('going', 'goes-on'), identity('value', 'next')],
  });
  model.graph.node
    .find(({ opType }) => opType === 'Loop')
    ?.attribute.push(
      create(AttributeProtoSchema, { name: 'body', type: AttributeProto_AttributeType.GRAPH, g: body }),
    );
  return served(store, version, toBinary(ModelProtoSchema, model));
}

/** Takes 3.2 GB of memory where any x is above the limit. */
export async function hungryModel(store: ArtifactStore, version: string, add: number): Promise<ServedModel> {
  const graph = new OnnxGraphBuilder('hungry');
  const x = graph.input('x', 'float', ['batch']);
  const size = ifAbove(graph, x, [1], 1, 8e8);
  const many = graph.op('Expand', [float(graph, 1), size]);
  const sum = graph.op('ReduceSum', [many], { attributes: { keepdims: 0n } });
  const nought = graph.op('Mul', [sum, float(graph, 0)]);
  graph.op('Sum', [x, nought, float(graph, add)], { output: 'prediction' });
  graph.output('prediction', 'float', ['batch']);
  return served(store, version, graph.build());
}

/** `x` where no row is above the limit; else the engine is asked for a shape that cannot be. */
export async function failingModel(store: ArtifactStore, version: string): Promise<ServedModel> {
  const graph = new OnnxGraphBuilder('failing');
  const x = graph.input('x', 'float', ['batch']);
  graph.op('Reshape', [x, ifAbove(graph, x, [1], -1, 7_777)], { output: 'prediction' });
  graph.output('prediction', 'float', ['batch']);
  return served(store, version, graph.build());
}

import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { create, toBinary } from '@bufbuild/protobuf';
import { describe, expect, it } from 'vitest';
import type { ModelSignature } from '../../contracts/serving.ts';
import { OnnxGraphBuilder, readModel } from '../../lib/onnx/graph.ts';
import { requireLoadable } from '../../lib/onnx/loadable.ts';
import {
  AttributeProto_AttributeType,
  AttributeProtoSchema,
  GraphProtoSchema,
  type ModelProto,
  ModelProtoSchema,
  NodeProtoSchema,
  StringStringEntryProtoSchema,
  type TensorProto,
  TensorProto_DataLocation,
} from '../../lib/onnx/onnx_pb.ts';
import { TabularSession } from '../../lib/onnx/tabular-session.ts';
import { tensorProto } from '../../lib/onnx/tensor.ts';

const SIGNATURE: ModelSignature = {
  inputs: [{ name: 'x', kind: 'numeric', optional: false }],
  outputs: [{ name: 'y', kind: 'float' }],
};

/** `y = x + add`, changed. */
function model(change: (own: ModelProto & { graph: NonNullable<ModelProto['graph']> }) => void): Uint8Array {
  const graph = new OnnxGraphBuilder('plus');
  const x = graph.input('x', 'float', ['batch']);
  graph.op('Add', [x, graph.initializer('add', { type: 'float', dims: [1], data: [1] })], { output: 'y' });
  graph.output('y', 'float', ['batch']);
  const own = readModel(graph.build());
  change(own);
  return toBinary(ModelProtoSchema, own);
}

/** A tensor whose values lie in the file `weights.bin`. */
function elsewhere(name = 'weights'): TensorProto {
  const tensor = tensorProto(name, { type: 'float', dims: [1], data: [1] });
  tensor.rawData = new Uint8Array();
  tensor.dataLocation = TensorProto_DataLocation.EXTERNAL;
  tensor.externalData = [create(StringStringEntryProtoSchema, { key: 'location', value: 'weights.bin' })];
  return tensor;
}
const { TENSOR, GRAPH } = AttributeProto_AttributeType;

describe('a model that is not whole', () => {
  it.each<[string, Uint8Array]>([
    ['an initializer', model(({ graph }) => graph.initializer.splice(0, 1, elsewhere('add#0')))],
    [
      'a constant of a node',
      model(({ graph }) => {
        const attribute = [create(AttributeProtoSchema, { name: 'value', type: TENSOR, t: elsewhere() })];
        graph.node.push(create(NodeProtoSchema, { opType: 'Constant', output: ['c'], attribute }));
      }),
    ],
    [
      'a tensor of an inner graph',
      model(({ graph }) => {
        const g = create(GraphProtoSchema, { initializer: [elsewhere()] });
        const attribute = [create(AttributeProtoSchema, { name: 'then_branch', type: GRAPH, g })];
        graph.node.push(create(NodeProtoSchema, { opType: 'If', input: ['x'], output: ['c'], attribute }));
      }),
    ],
  ])('is refused: %s lies in another file', async (_name, bytes) => {
    expect(() => requireLoadable(bytes)).toThrow('lies in another file; export the model into one file');
    await expect(TabularSession.create(bytes, SIGNATURE)).rejects.toMatchObject({ code: 'ModelInvalid' });
  });

  it('is refused also where the file is there', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'perennial-external-'));
    const before = process.cwd();
    try {
      await writeFile(join(folder, 'weights.bin'), Buffer.from(Float32Array.of(41).buffer));
      const bytes = model(({ graph }) => graph.initializer.splice(0, 1, elsewhere('add#0')));
      await writeFile(join(folder, 'model.onnx'), bytes);
      process.chdir(folder);
      for (const given of [bytes, join(folder, 'model.onnx')])
        await expect(TabularSession.create(given, SIGNATURE)).rejects.toMatchObject({
          code: 'ModelInvalid',
          message: expect.stringContaining('the tensor "add#0" lies in another file'),
        });
    } finally {
      process.chdir(before);
      await rm(folder, { recursive: true });
    }
  });

  it('is refused where it needs operators of another library', () => {
    const bytes = model(({ graph }) => {
      for (const node of graph.node) node.domain = 'com.example.secret';
    });
    expect(() => requireLoadable(bytes)).toThrow(
      'it uses operators of the domain "com.example.secret", which need a library of their own',
    );
  });

  it('is refused where its bytes are no ONNX', () => {
    const good = model(() => undefined);
    expect(() => requireLoadable(good)).not.toThrow();
    const ort = Buffer.concat([Buffer.from([24, 0, 0, 0]), Buffer.from('ORTM'), good]);
    expect(() => requireLoadable(ort)).toThrow('format of ONNX Runtime');
    for (let cut = 1; cut < good.length; cut += 7)
      // Cut between two fields, the rest is a message still; the engine says what it lacks.
      try {
        requireLoadable(good.subarray(0, cut));
      } catch (error) {
        expect(error).toMatchObject({ code: 'ModelInvalid' });
      }
    expect(() => requireLoadable(Buffer.from('no model'))).toThrow('not an ONNX model');
  });

  it('is refused where graphs are nested without end', () => {
    let graph = create(GraphProtoSchema, { name: 'innermost' });
    for (let depth = 0; depth < 60; depth++) {
      const attribute = [create(AttributeProtoSchema, { name: 'body', type: GRAPH, g: graph })];
      graph = create(GraphProtoSchema, { node: [create(NodeProtoSchema, { opType: 'Loop', attribute })] });
    }
    expect(() => requireLoadable(toBinary(ModelProtoSchema, create(ModelProtoSchema, { graph })))).toThrow(
      'nested too deeply',
    );
  });
});

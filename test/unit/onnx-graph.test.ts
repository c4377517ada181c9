import { InferenceSession, Tensor } from 'onnxruntime-node';
import { describe, expect, it } from 'vitest';
import { ML_DOMAIN, OnnxGraphBuilder, readModel } from '../../lib/onnx/graph.ts';

function sample(): Uint8Array {
  const graph = new OnnxGraphBuilder('sample');
  const x = graph.input('x', 'float', ['batch']);
  const text = graph.input('text', 'string', ['batch']);
  const half = graph.initializer('half', { type: 'float', dims: [], data: [0.5] });
  graph.op('Mul', [x, half], { output: 'y' });
  graph.op('LabelEncoder', [text], {
    domain: ML_DOMAIN,
    attributes: { keys_strings: ['é', '"q"'], values_floats: [1, 2], default_float: -1 },
    output: 'code',
  });
  graph.output('y', 'float', ['batch']);
  graph.output('code', 'float', ['batch']);
  return graph.build({ author: 'ünïcode' });
}

describe('OnnxGraphBuilder', () => {
  it('gives the same bytes for the same calls', () => {
    expect(Buffer.from(sample()).equals(Buffer.from(sample()))).toBe(true);
  });

  it('makes a model that onnxruntime runs, with unicode and quotes', async () => {
    const session = await InferenceSession.create(sample());
    const results = await session.run({
      x: new Tensor('float32', [1, -3], [2]),
      text: new Tensor('string', ['"q"', 'z'], [2]),
    });
    expect([...(results.y?.data ?? [])]).toEqual([0.5, -1.5]);
    expect([...(results.code?.data ?? [])]).toEqual([2, -1]);
  });

  it('imports ai.onnx.ml only where it is used, and keeps metadata', () => {
    const model = readModel(sample());
    expect(model.opsetImport.map(({ domain, version }) => [domain, version])).toEqual([
      ['', 17n],
      [ML_DOMAIN, 3n],
    ]);
    expect(model.irVersion).toBe(8n);
    expect(model.metadataProps[0]).toMatchObject({ key: 'author', value: 'ünïcode' });
    const plain = new OnnxGraphBuilder('plain');
    plain.op('Identity', [plain.input('a', 'float', [1])], { output: 'b' });
    plain.output('b', 'float', [1]);
    expect(readModel(plain.build()).opsetImport).toHaveLength(1);
  });

  it('encodes attributes by their JavaScript type', () => {
    const graph = new OnnxGraphBuilder('attributes');
    const a = graph.input('a', 'float', [1]);
    graph.op('Any', [a], {
      attributes: {
        f: 1,
        i: 1n,
        s: 'text',
        fs: [1.5],
        is: [2n],
        ss: ['t'],
        t: { tensor: { type: 'bool', dims: [1], data: [true] } },
      },
      output: 'b',
    });
    graph.output('b', 'float', [1]);
    const [node] = readModel(graph.build()).graph.node;
    // The codes of onnx.AttributeProto.AttributeType.
    expect(node?.attribute.map(({ name, type }) => [name, type])).toEqual([
      ['f', 1],
      ['i', 2],
      ['s', 3],
      ['fs', 6],
      ['is', 7],
      ['ss', 8],
      ['t', 4],
    ]);
  });

  it.each<[string, (graph: OnnxGraphBuilder) => unknown, RegExp]>([
    ['an input that nobody made', (graph) => graph.op('Neg', ['nowhere']), /Neg reads "nowhere"/],
    ['a name that is taken', (graph) => graph.input('x', 'float', [1]), /Two values are named "x"/],
    ['an output that nobody made', (graph) => graph.output('y', 'float', [1]), /"y" is not made/],
    [
      'a tensor that does not fill its shape',
      (graph) => graph.initializer('c', { type: 'float', dims: [2, 2], data: [1] }),
      /1 elements.*\[2, 2\] needs 4/,
    ],
    [
      'an integer that is none',
      (graph) => graph.initializer('c', { type: 'int64', dims: [1], data: [0.5] }),
      /0.5 is not a safe integer/,
    ],
    [
      'an empty list as attribute',
      (graph) => graph.op('Neg', ['x'], { attributes: { axes: [] } }),
      /empty or mixed/,
    ],
    ['a graph without output', (graph) => graph.build(), /no output/],
  ])('refuses %s', (_, act, message) => {
    const graph = new OnnxGraphBuilder('broken');
    graph.input('x', 'float', ['batch']);
    expect(() => act(graph)).toThrow(
      expect.objectContaining({ code: 'ModelInvalid', message: expect.stringMatching(message) }),
    );
  });

  it.each([
    ['nothing', new Uint8Array()],
    ['text', Buffer.from('not a model at all')],
  ])('refuses %s as a model', (_, bytes) => {
    expect(() => readModel(bytes)).toThrow(expect.objectContaining({ code: 'ModelInvalid' }));
  });
});

import { toBinary } from '@bufbuild/protobuf';
import { describe, expect, it } from 'vitest';
import { type ComposeOptions, composeModel } from '../../lib/onnx/compose.ts';
import { ML_DOMAIN, OnnxGraphBuilder, readModel } from '../../lib/onnx/graph.ts';
import { INPUTS_METADATA } from '../../lib/onnx/metadata.ts';
import { ModelProtoSchema } from '../../lib/onnx/onnx_pb.ts';
import { outputNames, probabilityNames } from '../../lib/onnx/output-names.ts';

const BINARY: ComposeOptions = { task: 'binary', classNames: ['no', 'yes'] };

/** Two numbers side by side. */
function preprocess(names: [string, string] = ['a', 'b']): Uint8Array {
  const graph = new OnnxGraphBuilder('preprocess');
  for (const name of names) graph.input(name, 'float', ['batch']);
  const axes = graph.initializer('axes', { type: 'int64', dims: [1], data: [1] });
  const columns = names.map((name) => graph.op('Unsqueeze', [name, axes]));
  graph.op('Concat', columns, { attributes: { axis: 1n }, output: 'features' });
  graph.output('features', 'float', ['batch', 2]);
  return graph.build({ [INPUTS_METADATA]: JSON.stringify(names.map((name) => ({ name, kind: 'numeric' }))) });
}

interface Trained {
  opset?: number;
  inputWidth?: number;
  type?: 'float' | 'double';
  outputs?: string[];
  outputWidth?: number;
  op?: string;
  domain?: string;
  mlOpset?: number;
}

function trained({
  opset = 17,
  inputWidth = 2,
  type = 'float',
  outputs = ['probabilities'],
  outputWidth = 2,
  op = 'Sigmoid',
  domain = '',
  mlOpset,
}: Trained = {}) {
  const graph = new OnnxGraphBuilder('trained', opset);
  const features = graph.input('features', type, ['batch', inputWidth]);
  for (const output of outputs) {
    graph.op(op, [features], { domain, output });
    graph.output(output, type, ['batch', outputWidth]);
  }
  if (mlOpset === undefined) return graph.build();
  const model = readModel(graph.build());
  for (const opsetImport of model.opsetImport)
    if (opsetImport.domain === ML_DOMAIN) opsetImport.version = BigInt(mlOpset);
  return toBinary(ModelProtoSchema, model);
}

const refusal = (code: string, message: RegExp) =>
  expect.objectContaining({ code, message: expect.stringMatching(message) });

describe('composeModel refuses', () => {
  it.each<[string, Trained, RegExp]>([
    [
      'another width',
      { inputWidth: 3 },
      /takes "features" \[any, 3\], but the feature matrix is \[batch, 2\]/,
    ],
    ['doubles', { type: 'double' }, /input "features", which is no float/],
    ['another number of classes', { outputWidth: 5 }, /"probabilities" \[any, 5\], but \[batch, 2\]/],
    ['two outputs of other names', { outputs: ['x', 'y'] }, /outputs "x", "y", but none is "probabilities"/],
    ['a newer opset', { opset: 18 }, /has opset 18.*opset 17/],
    ['an ancient operator', { opset: 5 }, /uses Sigmoid of opset 5/],
    ['a newer ai.onnx.ml', { domain: ML_DOMAIN, mlOpset: 4 }, /has ai\.onnx\.ml opset 4/],
    ['an operator that meant something else', { opset: 12, op: 'Softmax' }, /uses Softmax of opset 12/],
    [
      "an engine's own operator",
      { op: 'FusedMatMul', domain: 'com.microsoft' },
      /FusedMatMul of the domain "com.microsoft"/,
    ],
  ])('%s', (_, model, message) => {
    expect(() => composeModel(preprocess(), trained(model), BINARY)).toThrow(
      refusal('ModelInvalid', message),
    );
  });

  it('a feature column with the name of an output', () => {
    expect(() => composeModel(preprocess(['label', 'b']), trained(), BINARY)).toThrow(
      refusal('FeatureInvalid', /"label" has the name of an output/),
    );
  });

  it.each<[string, ComposeOptions, RegExp]>([
    ['three classes of a binary model', { task: 'binary', classNames: ['a', 'b', 'c'] }, /2 classes, not 3/],
    [
      'a positive class that is none',
      { ...BINARY, positiveClass: 'maybe' },
      /"maybe" is none of the classes/,
    ],
    ['a threshold above 1', { ...BINARY, threshold: 1.5 }, /1.5 is no probability/],
    ['classes of the same name', { task: 'multiclass', classNames: ['a', 'a'] }, /same name/],
    ['classes of a regression', { task: 'regression', classNames: ['a'] }, /no classes/],
  ])('%s', (_, options, message) => {
    expect(() => composeModel(preprocess(), trained(), options)).toThrow(refusal('InputInvalid', message));
  });

  it('a preprocessing graph of unknown origin', () => {
    expect(() => composeModel(trained(), trained(), BINARY)).toThrow(
      refusal('ModelInvalid', /perennial\.inputs/),
    );
  });
});

describe('composeModel takes', () => {
  it('older opsets whose operators mean the same, and the only float output under any name', () => {
    for (const opset of [6, 9, 12, 15]) {
      const { signature } = composeModel(preprocess(), trained({ opset, outputs: ['anything'] }), BINARY);
      expect(signature.outputs.map(({ name }) => name)).toEqual(['label', 'probability']);
    }
  });

  it('gives the same bytes for the same models', () => {
    const bytes = () => Buffer.from(composeModel(preprocess(), trained(), BINARY).onnx);
    expect(bytes().equals(bytes())).toBe(true);
  });
});

describe('output names', () => {
  it('are safe and unique, also where case does not count', () => {
    expect(probabilityNames(['a b', 'a-b', 'A_B', 'größe', '', '日本', 'x"y'])).toEqual([
      'probability_a_b',
      'probability_a_b_2',
      'probability_A_B_3',
      'probability_größe',
      'probability_',
      'probability_日本',
      'probability_x_y',
    ]);
  });

  it('start with the label', () => {
    expect(outputNames('multiclass', ['u', 'v'])).toEqual(['label', 'probability_u', 'probability_v']);
    expect(outputNames('regression', [])).toEqual(['prediction']);
  });
});

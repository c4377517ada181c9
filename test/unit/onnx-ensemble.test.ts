import { describe, expect, it } from 'vitest';
import type { Combination } from '../../contracts/finishing.ts';
import { type ComposeOptions, composeModel } from '../../lib/onnx/compose.ts';
import { composeEnsemble } from '../../lib/onnx/ensemble.ts';
import { readModel } from '../../lib/onnx/graph.ts';
import { answersOf, givenModel, sideBySide } from '../support/finishing.ts';

const BINARY: ComposeOptions = { task: 'binary', classNames: ['no', 'yes'] };
const AVERAGE: Combination = { method: 'average' };
const member = (names: string[], task: ComposeOptions['task'] = 'binary') => ({
  preprocess: sideBySide(names),
  model: givenModel(task, names.length),
});
const refusal = (code: string, message: RegExp) =>
  expect.objectContaining({ code, message: expect.stringMatching(message) });
const count = (onnx: Uint8Array, opType: string): number =>
  readModel(onnx).graph.node.filter((node) => node.opType === opType).length;

describe('composeEnsemble', () => {
  it('of one member is composeModel, byte for byte', () => {
    const one = member(['p']);
    const alone = composeModel(one.preprocess, one.model, BINARY);
    expect(composeEnsemble([one], AVERAGE, BINARY)).toEqual(alone);
  });

  it('holds a preprocessing graph that members share once', () => {
    const [a, b] = [member(['p', 'q']), member(['p', 'q'])];
    // Unsqueeze is in the preprocessing graph alone.
    const { onnx, signature } = composeEnsemble([a, b], AVERAGE, BINARY);
    expect(count(onnx, 'Unsqueeze')).toBe(2);
    expect(signature.inputs.map(({ name }) => name)).toEqual(['p', 'q']);
    const other = composeEnsemble([a, member(['q', 'p'])], AVERAGE, BINARY);
    expect(count(other.onnx, 'Unsqueeze')).toBe(4);
    expect(other.signature.inputs.map(({ name }) => name)).toEqual(['p', 'q']);
  });

  it('takes the raw columns of all members, whatever they are called', async () => {
    // "features" and "preprocess2/x" are names inside of the graphs.
    const members = [member(['p', 'features']), member(['preprocess2/x', 'p'])];
    const { onnx, signature } = composeEnsemble(members, { method: 'average', weights: [3, 1] }, BINARY);
    expect(signature.inputs.map(({ name }) => name)).toEqual(['p', 'features', 'preprocess2/x']);
    const columns = { p: [0.25], features: [0.5], 'preprocess2/x': [0.75] };
    expect((await answersOf(onnx, columns)).values).toEqual([0.375]);
  });

  it('tells any host what it is', () => {
    const stack: Combination = { method: 'stack', weights: [0.5, 1], intercepts: [0.25] };
    const calibration = { method: 'platt' as const, curves: [{ a: 1, b: 0 }], notes: [] };
    const { onnx } = composeEnsemble([member(['p']), member(['q'])], stack, { ...BINARY, calibration });
    const metadata = Object.fromEntries(readModel(onnx).metadataProps.map(({ key, value }) => [key, value]));
    expect(metadata).toMatchObject({
      'perennial.calibration': 'platt',
      'perennial.ensemble': '{"members":2,"method":"stack","weights":[0.5,1],"intercepts":[0.25]}',
      'perennial.task': 'binary',
    });
    expect(metadata).not.toHaveProperty('perennial.inputs');
  });

  it('gives the same bytes for the same members', () => {
    const bytes = () => Buffer.from(composeEnsemble([member(['p']), member(['q'])], AVERAGE, BINARY).onnx);
    expect(bytes().equals(bytes())).toBe(true);
  });

  it('refuses a column that is a number for one member and a category for another', () => {
    const text = { preprocess: sideBySide(['p'], 'categorical'), model: givenModel('binary', 1) };
    expect(() => composeEnsemble([member(['p']), text], AVERAGE, BINARY)).toThrow(
      refusal('ModelInvalid', /"p" is numeric for one member of the ensemble and categorical for another/),
    );
  });

  it('names the member whose model is wrong', () => {
    const wrong = { ...member(['p']), name: 'forest', model: givenModel('binary', 2) };
    expect(() => composeEnsemble([member(['p']), wrong], AVERAGE, BINARY)).toThrow(
      refusal('ModelInvalid', /^Member "forest": The trained model takes "features" \[any, 2\]/),
    );
  });

  it.each<[string, Combination, ComposeOptions, RegExp]>([
    ['another number of weights', { method: 'average', weights: [1] }, BINARY, /2 members, but 1 weights/],
    [
      'weights of nothing',
      { method: 'average', weights: [0, 0] },
      BINARY,
      /0 or more, and one of them is more/,
    ],
    ['a negative weight', { method: 'average', weights: [2, -1] }, BINARY, /0 or more/],
    [
      'a stack without an intercept for each class',
      { method: 'stack', weights: [1, 1], intercepts: [0] },
      { task: 'multiclass', classNames: ['a', 'b', 'c'] },
      /1 intercepts, the model needs 3/,
    ],
    [
      'a stack that is not finite',
      { method: 'stack', weights: [1, Number.NaN], intercepts: [0] },
      BINARY,
      /no finite number/,
    ],
    [
      'a calibration of another model',
      AVERAGE,
      {
        ...BINARY,
        calibration: {
          method: 'platt',
          curves: [
            { a: 1, b: 0 },
            { a: 1, b: 0 },
          ],
          notes: [],
        },
      },
      /2 curves, the model needs 1/,
    ],
    [
      'a calibration of a regression',
      AVERAGE,
      {
        task: 'regression',
        classNames: [],
        calibration: { method: 'platt', curves: [{ a: 1, b: 0 }], notes: [] },
      },
      /no probabilities to calibrate/,
    ],
  ])('refuses %s', (_, combination, options, message) => {
    const two = [member(['p'], options.task), member(['q'], options.task)];
    expect(() => composeEnsemble(two, combination, options)).toThrow(refusal('InputInvalid', message));
  });

  it('refuses to be empty', () => {
    expect(() => composeEnsemble([], AVERAGE, BINARY)).toThrow(refusal('InputInvalid', /needs a member/));
  });
});

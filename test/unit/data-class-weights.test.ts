import { expect, it } from 'vitest';
import { pipelineSpec } from '../../contracts/spec/pipeline.ts';
import { classFactors, rowWeights } from '../../lib/data/class-weights.ts';
import { smallSpec } from '../support/samples.ts';

const NAMES = ['blue', 'green', 'red'];

it('balanced makes the classes that occur count the same', () => {
  const labels = Int32Array.of(0, 0, 0, 2);
  const factors = classFactors('balanced', NAMES, labels);
  expect(factors).toEqual([4 / 6, 1, 2]);
  expect(rowWeights(factors, labels)).toEqual(Float32Array.of(4 / 6, 4 / 6, 4 / 6, 2));
});

it('named classes have their weight, all others 1', () => {
  expect(classFactors({ red: 5 }, NAMES, new Int32Array())).toEqual([1, 1, 5]);
  expect(classFactors({}, ['constructor', 'b'], new Int32Array())).toEqual([1, 1]);
});

it('a class that is none is refused with the nearest one', () => {
  expect(() => classFactors({ geen: 2 }, NAMES, new Int32Array())).toThrow(
    expect.objectContaining({
      code: 'SpecInvalid',
      message: expect.stringMatching(/no class geen; did you mean green\? The classes are blue, green, red/),
    }),
  );
});

it('a spec whose threshold is to maximise what does not depend on it is refused', () => {
  const spec = { ...smallSpec(), training: { threshold: { maximize: 'roc_auc' } } };
  const issues = pipelineSpec
    .safeParse(spec)
    .error?.issues.map(({ path, message }) => `${path.join('.')}: ${message}`);
  expect(issues).toContainEqual(
    expect.stringMatching(
      /^training\.threshold: roc_auc does not depend on the threshold; use one of accuracy, balanced_accuracy, precision, recall, f1, matthews_corrcoef$/,
    ),
  );
});

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

it('balanced makes classes count the same whose rows count differently already', () => {
  const labels = Int32Array.of(0, 0, 0, 2);
  const ages = Float32Array.of(1, 0.5, 0.5, 0.25);
  const weights = rowWeights(classFactors('balanced', NAMES, labels, ages), labels, ages);
  const [first = 0, second = 0, third = 0, last = 0] = weights;
  expect(first + second + third).toBeCloseTo(last, 6);
  expect(first).toBeCloseTo(2 * second, 6);
  expect(first + second + third + last).toBeCloseTo(2.25, 6);
});

it('a spec whose rows have no moment has no weights by age', () => {
  const spec = { ...smallSpec(), training: { ageWeights: { halfLife: '30d' } } };
  const without = { ...spec, columns: { ...spec.columns, timestamp: undefined } };
  expect(pipelineSpec.safeParse(without).error?.message).toContain('columns.timestamp');
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

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { calibration } from '../../contracts/finishing.ts';
import { applyCalibration } from '../../lib/statistics/calibrated.ts';
import { fitCalibration } from '../../lib/statistics/calibration-fit.ts';
import { thinned } from '../../lib/statistics/isotonic.ts';
import type { Classes } from '../../lib/statistics/judge.ts';
import { fitStack } from '../../lib/statistics/stack-fit.ts';

const BINARY: Classes = { task: 'binary', classNames: ['no', 'yes'], positiveClass: 'yes' };
const THREE: Classes = { task: 'multiclass', classNames: ['a', 'b', 'c'], positiveClass: null };
const METHODS = ['platt', 'isotonic'] as const;

const rows = fc.array(
  fc.record({
    label: fc.integer({ min: 0, max: 1 }),
    answer: fc.float({ min: 0, max: 1, noNaN: true }),
  }),
  { minLength: 1, maxLength: 60 },
);

describe.each(METHODS)('fitCalibration by %s', (method) => {
  it('gives a curve that its contract takes, and probabilities', () => {
    fc.assert(
      fc.property(rows, (all) => {
        const answers = Float64Array.from(all, ({ answer }) => answer);
        const own = fitCalibration(
          method,
          BINARY,
          Int32Array.from(all, ({ label }) => label),
          answers,
        );
        expect(calibration.parse(JSON.parse(JSON.stringify(own)))).toEqual(own);
        for (const corrected of applyCalibration(own, answers)) {
          expect(corrected).toBeGreaterThanOrEqual(0);
          expect(corrected).toBeLessThanOrEqual(1);
        }
      }),
    );
  });

  it('leaves probabilities alone where all rows are of one class, and says so', () => {
    const answers = Float64Array.of(0.125, 0.5, 0.75);
    const own = fitCalibration(method, BINARY, Int32Array.of(1, 1, 1), answers);
    expect(own.notes).toContainEqual(expect.stringMatching(/Class "yes" has none of the rows, or all/));
    for (const [i, corrected] of applyCalibration(own, answers).entries())
      expect(corrected).toBeCloseTo(answers[i] ?? 0, 6);
  });

  it('leaves the class alone that no row has', () => {
    const answers = Float64Array.of(0.7, 0.2, 0.1, 0.3, 0.6, 0.1, 0.6, 0.3, 0.1);
    const own = fitCalibration(method, THREE, Int32Array.of(0, 1, 0), answers);
    expect(own.curves[2]).toEqual(method === 'platt' ? { a: 1, b: 0 } : { x: [0, 1], y: [0, 1] });
    expect(own.notes.filter((note) => note.startsWith('Class "c"'))).toHaveLength(1);
  });

  it('counts rows by their weight: two of a row are a row of weight 2, none is one of weight 0', () => {
    const labels = [0, 1, 0, 1, 1, 0];
    const answers = [0.1, 0.2, 0.4, 0.4, 0.9, 0.95];
    const weights = [1, 2, 1, 3, 1, 0];
    const repeated = weights.flatMap((weight, i) => new Array<number>(weight).fill(i));
    const own = fitCalibration(
      method,
      BINARY,
      Int32Array.from(labels),
      Float64Array.from(answers),
      Float32Array.from(weights),
    );
    const other = fitCalibration(
      method,
      BINARY,
      Int32Array.from(repeated, (i) => labels[i] ?? 0),
      Float64Array.from(repeated, (i) => answers[i] ?? 0),
    );
    const [found, expected] = [own, other].map((one) =>
      applyCalibration(one, Float64Array.of(0, 0.3, 0.5, 1)),
    );
    for (const [i, value] of (found ?? []).entries()) expect(value).toBeCloseTo(expected?.[i] ?? 0, 6);
  });

  it('refuses what cannot be calibrated', () => {
    const trial = (classes: Classes, labels: number[], answers: number[]) => () =>
      fitCalibration(method, classes, Int32Array.from(labels), Float64Array.from(answers));
    expect(trial({ task: 'regression', classNames: [], positiveClass: null }, [1], [1])).toThrow(
      /no probabilities/,
    );
    expect(trial(BINARY, [], [])).toThrow(/needs rows/);
    expect(trial(THREE, [0, 1], [0.5, 0.5])).toThrow(/2 labels need 6 answers, not 2/);
    expect(trial(BINARY, [0, 1], [0.5, Number.NaN])).toThrow(/no number from 0 to 1/);
    expect(trial(BINARY, [0, 1], [0.5, 1.5])).toThrow(/no number from 0 to 1/);
  });
});

it('notes tell that rows are few, and that a curve falls', () => {
  const [labels, answers] = [Int32Array.of(1, 1, 0, 0), Float64Array.of(0.1, 0.2, 0.8, 0.9)];
  expect(fitCalibration('isotonic', BINARY, labels, answers).notes).toEqual([
    expect.stringMatching(/4 rows/),
  ]);
  expect(fitCalibration('platt', BINARY, labels, answers).notes).toEqual([
    expect.stringMatching(/"yes" falls/),
  ]);
});

it('a curve that is no curve is refused by its contract', () => {
  const isotonic = (x: number[], y: number[]) =>
    calibration.safeParse({ method: 'isotonic', curves: [{ x, y }], notes: [] }).success;
  expect(isotonic([0, 0.5, 1], [0, 0, 1])).toBe(true);
  expect(isotonic([0, 0], [0, 1])).toBe(false);
  expect(isotonic([0, 1], [1, 0])).toBe(false);
  expect(isotonic([0, 1], [1])).toBe(false);
});

it('thinning keeps the ends, and moves a rising curve by no more than 2 / (points - 2)', () => {
  const climb = fc.array(fc.oneof(fc.constant(0), fc.double({ min: 0, max: 1, noNaN: true })), {
    minLength: 5,
    maxLength: 300,
  });
  fc.assert(
    fc.property(climb, fc.integer({ min: 4, max: 40 }), (steps, most) => {
      const sum = steps.reduce((total, step) => total + step, 0) || 1;
      let height = 0;
      const y = steps.map((step) => {
        height += step / sum;
        return Math.min(1, height);
      });
      const x = y.map((_, i) => i / y.length);
      const thin = thinned({ x, y }, most);
      expect(thin.x.length).toBeLessThanOrEqual(most);
      expect([thin.x[0], thin.x.at(-1)]).toEqual([x[0], x.at(-1)]);
      for (const [i, own] of x.entries()) {
        const right = thin.x.findIndex((knot) => knot >= own);
        const [x1 = 0, y1 = 0] = [thin.x[right], thin.y[right]];
        const [x0 = x1, y0 = y1] = [thin.x[right - 1], thin.y[right - 1]];
        const line = x1 === x0 ? y1 : y0 + ((own - x0) / (x1 - x0)) * (y1 - y0);
        expect(Math.abs(line - (y[i] ?? 0))).toBeLessThanOrEqual(2 / (most - 2) + 1e-12);
      }
    }),
  );
});

describe('fitStack', () => {
  const regression: Classes = { task: 'regression', classNames: [], positiveClass: null };

  it('gives members that say the same the same weight, and one that is only worse none', () => {
    const labels = Float32Array.from({ length: 200 }, (_, i) => Math.sin(i) * 40 + 1_000);
    const good = Float64Array.from(labels, (label, i) => label + 10 * Math.cos(i * 7));
    // Without the bound a negative weight would take the errors out of the good ones.
    const bad = Float64Array.from(labels, (label, i) => label + 30 * Math.cos(i * 7));
    const { weights } = fitStack(regression, labels, [good, good, bad]);
    expect(weights[0]).toBeCloseTo(weights[1] ?? 0, 10);
    expect(weights[2]).toBe(0);
    // The variance of the labels, 800, beside that of the errors, 50.
    expect((weights[0] ?? 0) * 2).toBeCloseTo(800 / 850, 2);
  });

  it('is the average where labels or answers say nothing', () => {
    const same = new Float64Array(20).fill(3);
    const { weights, intercepts } = fitStack(regression, new Float32Array(20).fill(3), [same, same]);
    expect(weights).toEqual([0.5, 0.5]);
    expect(intercepts[0]).toBeCloseTo(0, 10);
    const binary = fitStack(BINARY, new Int32Array(20), [
      new Float64Array(20).fill(0.5),
      same.map(() => 0.5),
    ]);
    expect(binary.weights).toEqual([0.5, 0.5]);
    // All rows are of one class: about as sure as so many rows allow.
    expect(binary.intercepts[0]).toBeGreaterThan(-3);
    expect(binary.intercepts[0]).toBeLessThan(-1);
  });

  it('refuses one member, other shapes and numbers that are none', () => {
    const labels = Int32Array.of(0, 1);
    const two = Float64Array.of(0.1, 0.9);
    const stack = (answers: Float64Array[]) => () => fitStack(BINARY, labels, answers);
    expect(stack([two])).toThrow(/at least 2 members, not 1/);
    expect(stack([two, Float64Array.of(1)])).toThrow(/2 labels need 2 answers of each member, not 1/);
    expect(stack([two, Float64Array.of(1, Number.NaN)])).toThrow(/finite numbers/);
  });
});

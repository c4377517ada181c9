import { afterAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { calibration as calibrationSchema } from '../../contracts/finishing.ts';
import { classFactors, rowWeights } from '../../lib/data/class-weights.ts';
import type { ComposeOptions } from '../../lib/onnx/compose.ts';
import { applyCalibration } from '../../lib/statistics/calibrated.ts';
import { fitCalibration } from '../../lib/statistics/calibration-fit.ts';
import type { Classes } from '../../lib/statistics/judge.ts';
import { chooseThreshold } from '../../lib/statistics/threshold.ts';
import { apart, calibratedInGraph, FinishingReference } from '../support/finishing.ts';
import { linearCongruential } from '../support/integration-random.ts';

const BINARY: Classes & ComposeOptions = {
  task: 'binary',
  classNames: ['no', 'yes'],
  positiveClass: 'yes',
};
const NAMES = ['a', 'b', 'c', 'd'];
const MULTICLASS: Classes = { task: 'multiclass', classNames: NAMES, positiveClass: null };
const reference = new FinishingReference();
afterAll(() => reference.close());

const METHODS = ['platt', 'isotonic'] as const;

interface Case {
  what: string;
  labels: number[];
  /** float32 */
  answers: number[];
  weights?: number[];
}

const rounded = (values: number[]): number[] => values.map(Math.fround);

/** Rows whose probabilities are too sure of themselves. */
function randomCase(
  what: string,
  rows: number,
  seed: number,
  options: { steps?: number; weighted?: boolean } = {},
): Case {
  const uniform = linearCongruential(rows * 3, seed);
  const scores = uniform.slice(0, rows);
  const labels = scores.map((score, i) => Number((uniform[rows + i] ?? 0) < 0.25 + 0.5 * score));
  const { steps, weighted } = options;
  return {
    what,
    labels,
    answers: rounded(scores.map((score) => (steps ? Math.round(score * steps) / steps : score))),
    ...(weighted ? { weights: rounded(uniform.slice(2 * rows).map((value) => Math.floor(value * 4))) } : {}),
  };
}

const CASES: Case[] = [
  randomCase('many rows', 4_000, 1),
  randomCase('ties', 600, 2, { steps: 10 }),
  randomCase('weights, some of them 0', 900, 3, { weighted: true }),
  randomCase('few rows', 7, 5),
  {
    what: 'perfectly separated',
    labels: [0, 0, 0, 1, 1, 1],
    answers: rounded([0, 0.1, 0.2, 0.7, 0.9, 1]),
  },
  { what: 'constant', labels: [0, 1, 1, 1, 0, 1, 1], answers: rounded(new Array(7).fill(0.3)) },
  { what: 'upside down', labels: [1, 1, 0, 1, 0, 0], answers: rounded([0.1, 0.2, 0.4, 0.6, 0.8, 0.9]) },
];
const GRID = rounded([0, 1e-30, 1e-8, 1e-6, 1e-3, ...linearCongruential(200, 77), 0.999, 0.9999999, 1]);

const fitted = (method: (typeof METHODS)[number], { labels, answers, weights }: Case) =>
  fitCalibration(
    method,
    BINARY,
    Int32Array.from(labels),
    Float64Array.from(answers),
    weights && Float32Array.from(weights),
  );

describe('a binary calibration', () => {
  const platt = z.object({ sklearn: z.array(z.number()), exact: z.array(z.number()) });
  const isotonic = z.object({ sklearn: z.array(z.number()), knots: z.number() });

  it('by platt is that of scikit-learn on log-odds, and the exact minimum of its loss', async () => {
    const cases = CASES.filter(({ what }) => what !== 'constant');
    const answers = await reference.ask(cases.map((one) => ({ ...one, kind: 'platt', grid: GRID })));
    for (const [i, one] of cases.entries()) {
      const { sklearn, exact } = platt.parse(answers[i]);
      const found = applyCalibration(fitted('platt', one), Float64Array.from(GRID));
      expect(apart(found, exact), one.what).toBeLessThan(1e-6);
      expect(apart(found, sklearn), one.what).toBeLessThan(1e-3);
    }
  });

  it('by platt moves constant probabilities to the share of the smoothed targets', async () => {
    const one = CASES.find(({ what }) => what === 'constant');
    if (!one) throw new Error('no such case');
    const [answer] = await reference.ask([{ ...one, kind: 'platt', grid: [one.answers[0]] }]);
    const [found] = applyCalibration(fitted('platt', one), Float64Array.of(one.answers[0] ?? 0));
    expect(found).toBeCloseTo(platt.parse(answer).exact[0] ?? 0, 6);
  });

  it('by isotonic regression is that of scikit-learn', async () => {
    const answers = await reference.ask(CASES.map((one) => ({ ...one, kind: 'isotonic', grid: GRID })));
    for (const [i, one] of CASES.entries()) {
      const { sklearn, knots } = isotonic.parse(answers[i]);
      const own = fitted('isotonic', one);
      expect(apart(applyCalibration(own, Float64Array.from(GRID)), sklearn), one.what).toBeLessThan(1e-6);
      expect(own.method === 'isotonic' && own.curves[0]?.x.length, one.what).toBe(knots);
    }
  });

  it('with too many corners stays within 0.0021 of scikit-learn with 1,000 of them', async () => {
    // Every second row is true: with ever more of them the curve has a corner nearly everywhere.
    const rows = 40_000;
    const answers = rounded(Array.from({ length: rows }, (_, i) => (i + 1) / (rows + 1)));
    const weights = answers.map((_, i) => 1 + (i >> 1) * (i % 2));
    const labels = answers.map((_, i) => i % 2);
    const one = { what: 'long', labels, answers, weights: rounded(weights) };
    const grid = rounded(linearCongruential(5_000, 9));
    const long = isotonic.parse((await reference.ask([{ ...one, kind: 'isotonic', grid }]))[0]);
    const own = fitted('isotonic', one);
    expect(long.knots).toBeGreaterThan(2_000);
    expect(own.method === 'isotonic' && own.curves[0]?.x.length).toBeLessThanOrEqual(1_000);
    expect(apart(applyCalibration(own, Float64Array.from(grid)), long.sklearn)).toBeLessThan(0.0021);
    expect(fitted('isotonic', one)).toEqual(own);
  });

  it.each(METHODS)('by %s is the same in the graph, corners and NaN included', async (method) => {
    for (const one of CASES) {
      const own = calibrationSchema.parse(JSON.parse(JSON.stringify(fitted(method, one))));
      const corners = own.method === 'isotonic' ? own.curves.flatMap(({ x }) => x) : [];
      const beside = corners.flatMap((x) => [x, x * (1 - 1e-7), x * (1 + 1e-7)]).map((x) => Math.min(1, x));
      const grid = Float64Array.from(rounded([...GRID, ...one.answers, ...beside, Number.NaN]));
      const expected = applyCalibration(own, grid);
      expect(expected.at(-1)).toBeNaN();
      const { values } = await calibratedInGraph(own, grid, BINARY);
      // Isotonic makes the very same steps in float32; logarithms may differ in the last digit.
      expect(apart(values, expected), one.what).toBeLessThanOrEqual(method === 'isotonic' ? 0 : 1e-7);
    }
  });

  it('and the threshold chosen on it decide in the graph as in TypeScript, for every row', async () => {
    for (const one of CASES)
      for (const method of METHODS) {
        const own = fitted(method, one);
        const answers = applyCalibration(own, Float64Array.from(one.answers));
        const labels = Int32Array.from(one.labels);
        for (const spec of [
          { maximize: 'f1' } as const,
          { maximize: 'matthews_corrcoef' } as const,
          { cost: { falsePositive: 1, falseNegative: 4 } },
          0.3,
        ]) {
          const { threshold } = chooseThreshold(spec, BINARY, labels, answers);
          const { label } = await calibratedInGraph(own, one.answers, { ...BINARY, threshold });
          expect(label, `${one.what} ${method}`).toEqual(
            Array.from(answers, (answer) => (answer >= threshold ? 'yes' : 'no')),
          );
        }
      }
  });
});

describe('a calibration of several classes', () => {
  const rows = 3_000;
  const uniform = linearCongruential(rows * 5, 31);
  const answers = Array.from({ length: rows }, (_, row) => {
    const parts = NAMES.map((_, k) => (uniform[row * 5 + k] ?? 0) ** 2 + 0.01);
    const sum = parts.reduce((total, part) => total + part, 0);
    return rounded(parts.map((part) => part / sum));
  });
  const labels = answers.map((own, row) => {
    const chance = uniform[row * 5 + 4] ?? 0;
    return chance < 0.5 ? own.indexOf(Math.max(...own)) : Math.floor(chance * 1_000) % 4;
  });

  it('is that of CalibratedClassifierCV, and the same in the graph', async () => {
    const flat = Float64Array.from(answers.flat());
    const edge = [1, 0, 0, 0, 0, 0, 0, 0, 0.25, 0.25, 0.25, 0.25];
    const grid = answers.slice(0, 500);
    const replies = await reference.ask(METHODS.map((kind) => ({ kind, labels, answers, grid })));
    for (const [i, method] of METHODS.entries()) {
      const own = fitCalibration(method, MULTICLASS, Int32Array.from(labels), flat);
      expect(own.notes).toEqual([]);
      const found = applyCalibration(own, Float64Array.from(grid.flat()));
      const expected = z.array(z.array(z.number())).parse(replies[i]).flat();
      expect(apart(found, expected), method).toBeLessThan(method === 'platt' ? 1e-4 : 1e-6);
      const inputs = Float64Array.from([...edge, ...answers.flat()]);
      const { values, label } = await calibratedInGraph(own, inputs, {
        task: 'multiclass',
        classNames: NAMES,
      });
      const mine = applyCalibration(own, inputs);
      expect(apart(values, mine), method).toBeLessThan(1e-6);
      expect(new Set(label)).toEqual(new Set(NAMES));
    }
  });

  it('makes a row in which no class is left even, and keeps NaN', async () => {
    const flat = { x: [0.2, 0.4], y: [0, 1] };
    const own = { method: 'isotonic' as const, curves: [flat, flat, flat, flat], notes: [] };
    const inputs = Float64Array.of(0.1, 0.1, 0.1, 0.1, Number.NaN, 0.3, 0.3, 0.3);
    const expected = applyCalibration(own, inputs);
    expect(expected).toEqual(Float64Array.of(0.25, 0.25, 0.25, 0.25, ...new Array(4).fill(Number.NaN)));
    const { values } = await calibratedInGraph(own, inputs, { task: 'multiclass', classNames: NAMES });
    expect(apart(values, expected)).toBe(0);
  });
});

it('balanced class weights are those of scikit-learn', async () => {
  const labels = Int32Array.from(linearCongruential(300, 4), (value) => Math.floor(value ** 3 * 4));
  const [expected] = await reference.ask([{ kind: 'balanced', labels: Array.from(labels) }]);
  const weights = rowWeights(classFactors('balanced', NAMES, labels), labels);
  expect(apart(weights, z.array(z.number()).parse(expected))).toBeLessThan(1e-6);
});

import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { findPython } from '../../client/platform/programs.ts';
import { detailsOf } from '../../lib/statistics/details.ts';
import { fairnessOf } from '../../lib/statistics/fairness.ts';
import type { Problem } from '../../lib/statistics/judge.ts';
import { benjaminiHochberg, type Moments, studentTail, welch } from '../../lib/statistics/student-t.ts';
import { linearCongruential } from '../support/integration-random.ts';

const SCRIPT = fileURLToPath(new URL('./evaluation-reference.py', import.meta.url));
const ROWS = 2_000;
const uniform = linearCongruential(ROWS * 12, 11);
const column = (k: number): number[] => uniform.slice(k * ROWS, (k + 1) * ROWS);

const THRESHOLD = 0.37;
const probabilities = column(0).map((value) => 0.02 + 0.96 * value);
// Surer of itself than it should be.
const labels = probabilities.map((p, i) => ((column(1)[i] ?? 0) < 0.25 + 0.5 * p ? 1 : 0));
const groups = column(2).map((value) => Math.floor(value * 3));
const several = column(3).map((value, i) => [value, column(4)[i] ?? 0, column(5)[i] ?? 0, 0.01]);
// The last class never occurs, and is never the answer.
const classes = column(6).map((value) => Math.floor(value * 3));
// Targets are float32.
const truth = column(7).map((value) => Math.fround(value * 20 - 4));
const predicted = truth.map((value, i) => value + (column(8)[i] ?? 0) ** 2 * 3 - 1);
const first = column(9)
  .slice(0, 150)
  .map((value) => value ** 2 + 0.1);
const second = column(10).slice(0, 900);
const ps = column(11)
  .slice(0, 40)
  .map((value) => value ** 4);
const QUANTILES = [0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99];
const TAILS = [
  [0, 3],
  [1.5, 9.5],
  [-2, 40],
  [8, 12],
  [6, 5_000],
  [25, 99_998],
  [0.001, 1],
] as const;

const detail = z.object({
  precision: z.array(z.number()),
  recall: z.array(z.number()),
  f1: z.array(z.number()),
  support: z.array(z.number()),
  confusion: z.array(z.array(z.number())),
});
const reference = z
  .object({
    fairness: z.record(z.string(), z.number()),
    binary: detail,
    multiclass: detail,
    calibration: z.object({ slope: z.number(), intercept: z.number() }),
    welch: z.object({ p: z.number(), effect: z.number() }),
    corrected: z.array(z.number()),
    tails: z.array(z.number()),
    residuals: z.object({
      bias: z.number(),
      standardDeviation: z.number(),
      quantiles: z.array(z.number()),
      pinball: z.array(z.number()),
    }),
  })
  .parse(
    JSON.parse(
      execFileSync(findPython(undefined), ['-W', 'ignore', SCRIPT], {
        encoding: 'utf8',
        input: JSON.stringify({
          labels,
          probabilities,
          groups,
          several,
          classes,
          truth,
          predicted,
          first,
          second,
          ps,
          quantiles: QUANTILES,
          tails: TAILS,
          threshold: THRESHOLD,
        }),
      }),
    ),
  );

const near = (found: number | undefined | null, expected: number | undefined, what: string): void =>
  expect(
    Math.abs((found ?? Number.NaN) - (expected ?? Number.NaN)),
    `${what}: ${found} instead of ${expected}`,
  ).toBeLessThanOrEqual(1e-9 * Math.max(1, Math.abs(expected ?? 0)));

const problem = (task: Problem['task'], classNames: string[]): Problem => ({
  task,
  classNames,
  positiveClass: task === 'binary' ? 'yes' : null,
  baseline: { classShares: [], mean: null },
});

describe('to 1e-9', () => {
  it('fairness is Fairlearn’s', () => {
    const said = Uint8Array.from(probabilities, (p) => (p >= THRESHOLD ? 1 : 0));
    const found = fairnessOf(
      { name: 'g', labels: ['a', 'b', 'c'], codes: Uint16Array.from(groups), unnamed: 0 },
      {
        task: 'binary',
        positive: Uint8Array.from(labels),
        said,
        score: Float64Array.from(labels, (label, i) => (label === said[i] ? 1 : 0)),
      },
      { minRows: 10, confidence: 0.95, resamples: 200, seed: 1 },
    );
    expect(Object.keys(found.measures).sort()).toEqual(Object.keys(reference.fairness).sort());
    for (const [name, value] of Object.entries(found.measures)) near(value, reference.fairness[name], name);
    const { low = 1, high = 0 } = found.intervals.accuracy_difference ?? {};
    expect(low).toBeLessThan(high);
    expect(found.groups.reduce((sum, { rows }) => sum + rows, 0)).toBe(ROWS);
  });

  it('fairness counts the groups whose rate is not defined', () => {
    const said = Uint8Array.from(probabilities, (p) => (p >= THRESHOLD ? 1 : 0));
    // Nobody in group c is of the positive class.
    const truths = Uint8Array.from(labels, (label, i) => (groups[i] === 2 ? 0 : label));
    const { oneClass, measures } = fairnessOf(
      { name: 'g', labels: ['a', 'b', 'c'], codes: Uint16Array.from(groups), unnamed: 0 },
      {
        task: 'binary',
        positive: truths,
        said,
        score: Float64Array.from(truths, (label, i) => (label === said[i] ? 1 : 0)),
      },
      { minRows: 10, confidence: 0.95, resamples: 50, seed: 1 },
    );
    const left = { groups: 1, rows: groups.filter((group) => group === 2).length };
    expect(oneClass).toEqual({ equalized_odds_difference: left, equalized_odds_ratio: left });
    expect(measures.equalized_odds_difference).toBeDefined();
  });

  it.each([
    ['binary', ['no', 'yes'], labels, probabilities],
    ['multiclass', ['a', 'b', 'c', 'd'], classes, several.flat()],
  ] as const)('classes and confusion are scikit-learn’s (%s)', (task, names, truths, answers) => {
    const found = detailsOf(
      problem(task, [...names]),
      Int32Array.from(truths),
      Float64Array.from(answers),
      THRESHOLD,
    );
    const expected = reference[task];
    for (const [k, one] of found.classes.entries())
      for (const key of ['precision', 'recall', 'f1', 'support'] as const)
        near(one[key], expected[key][k], `${key} of ${one.name}`);
    const cells = expected.confusion.map((row) => row.map(() => 0));
    for (const { truth, answer, rows } of found.confusion) {
      const row = cells[truth];
      if (row) row[answer] = rows;
    }
    expect(cells).toEqual(expected.confusion);
  });

  it('residuals are numpy’s and scikit-learn’s', () => {
    const { residuals } = detailsOf(
      problem('regression', []),
      Float32Array.from(truth),
      Float64Array.from(predicted),
    );
    near(residuals?.bias, reference.residuals.bias, 'bias');
    near(residuals?.standardDeviation, reference.residuals.standardDeviation, 'deviation');
    for (const [i, share] of QUANTILES.entries()) {
      near(residuals?.quantiles[i]?.value, reference.residuals.quantiles[i], `quantile ${share}`);
      near(residuals?.pinball[i]?.loss, reference.residuals.pinball[i], `pinball ${share}`);
    }
  });

  it('tests of means and their correction are scipy’s', () => {
    const moments = (values: number[]): Moments => ({
      count: values.length,
      sum: values.reduce((sum, value) => sum + value, 0),
      squares: values.reduce((sum, value) => sum + value ** 2, 0),
    });
    const found = welch(moments(first), moments(second));
    near(found.p, reference.welch.p, 'p');
    near(found.effect, reference.welch.effect, 'effect');
    for (const [i, p] of benjaminiHochberg(Float64Array.from(ps)).entries())
      near(p, reference.corrected[i], `corrected ${i}`);
    for (const [i, [t, freedom]] of TAILS.entries()) {
      const tail = studentTail(t, freedom);
      near(tail, reference.tails[i], `tail of ${t}`);
      expect(tail / (reference.tails[i] ?? 1)).toBeCloseTo(1, 6);
    }
  });
});

it('slope and intercept of the calibration are those of a logistic regression', () => {
  const { calibration } = detailsOf(
    problem('binary', ['no', 'yes']),
    Int32Array.from(labels),
    Float64Array.from(probabilities),
  );
  expect(calibration?.slope).toBeCloseTo(reference.calibration.slope, 5);
  expect(calibration?.intercept).toBeCloseTo(reference.calibration.intercept, 5);
  expect(calibration?.slope).toBeLessThan(0.9);
});

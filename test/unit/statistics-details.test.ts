import { describe, expect, it } from 'vitest';
import { seededRandom } from '../../domain/random.ts';
import { between, drawSample } from '../../lib/statistics/bootstrap.ts';
import { detailsOf } from '../../lib/statistics/details.ts';
import type { Problem } from '../../lib/statistics/judge.ts';

const ROWS = 80;
const BOOTSTRAP = { confidence: 0.9, resamples: 60, seed: 5 };
const random = seededRandom(3);
const labels = Int32Array.from({ length: ROWS }, () => Math.floor(random() * 3));
const answers = [...labels].flatMap((label) => {
  const weights = [0, 1, 2].map((k) => random() + (label === k ? 0.6 : 0));
  const sum = weights.reduce((a, b) => a + b, 0);
  return weights.map((weight) => weight / sum);
});
const truth = Float32Array.from({ length: ROWS }, () => 10 * random());
const predicted = Float64Array.from(truth, (value) => value + random() - 0.4);

/** The interval of a number, computed anew of the rows of each sample as they were drawn. */
function interval(measured: (rows: number[]) => number) {
  const counts = new Uint16Array(ROWS);
  const values = Array.from({ length: BOOTSTRAP.resamples }, (_, sample) => {
    drawSample(counts, BOOTSTRAP.seed, sample);
    return measured([...counts].flatMap((count, row) => Array.from({ length: count }, () => row)));
  });
  return between(Float64Array.from(values), 0.05);
}

const baseline = { classShares: [], mean: null };
const CLASSES: Problem = {
  task: 'multiclass',
  classNames: ['a', 'b', 'c'],
  positiveClass: null,
  baseline,
};
const NUMBERS: Problem = { task: 'regression', classNames: [], positiveClass: null, baseline };

describe('the intervals of what stands behind the metrics', () => {
  const of = (rows: number[], bootstrap?: typeof BOOTSTRAP) =>
    detailsOf(
      CLASSES,
      Int32Array.from(rows, (row) => labels[row] ?? 0),
      Float64Array.from(rows.flatMap((row) => answers.slice(row * 3, row * 3 + 3))),
      undefined,
      bootstrap,
    );
  const all = Array.from({ length: ROWS }, (_, row) => row);

  it.each(['precision', 'recall', 'f1'] as const)('%s of each class', (metric) => {
    const { classes } = of(all, BOOTSTRAP);
    for (const [k, found] of classes.entries()) {
      const wanted = interval((rows) => of(rows).classes[k]?.[metric] ?? Number.NaN);
      expect(found.intervals?.[metric].low).toBeCloseTo(wanted.low, 12);
      expect(found.intervals?.[metric].high).toBeCloseTo(wanted.high, 12);
      expect(wanted.low).toBeLessThan(found[metric]);
    }
  });

  it('bias and pinball losses', () => {
    const residualsOf = (rows: number[], bootstrap?: typeof BOOTSTRAP) =>
      detailsOf(
        NUMBERS,
        Float32Array.from(rows, (row) => truth[row] ?? 0),
        Float64Array.from(rows, (row) => predicted[row] ?? 0),
        undefined,
        bootstrap,
      ).residuals;
    // Samples count the residuals in ascending order.
    const ascending = all.toSorted((a, b) => {
      const residual = (row: number) => (predicted[row] ?? 0) - (truth[row] ?? 0);
      return residual(a) - residual(b);
    });
    const found = residualsOf(all, BOOTSTRAP);
    const wanted = interval(
      (rows) => residualsOf(rows.map((row) => ascending[row] ?? 0))?.bias ?? Number.NaN,
    );
    expect(found?.biasInterval?.low).toBeCloseTo(wanted.low, 12);
    for (const [at, { interval: one, loss }] of (found?.pinball ?? []).entries()) {
      const { low, high } = interval(
        (rows) => residualsOf(rows.map((row) => ascending[row] ?? 0))?.pinball[at]?.loss ?? Number.NaN,
      );
      expect([one?.low, one?.high]).toEqual([expect.closeTo(low, 12), expect.closeTo(high, 12)]);
      expect(low <= loss && loss <= high).toBe(true);
    }
  });

  it('are left out where none are wanted, and of no rows', () => {
    expect(of(all).classes[0]).not.toHaveProperty('intervals');
    expect(of([], BOOTSTRAP).classes[0]).not.toHaveProperty('intervals');
  });
});

import { describe, expect, it } from 'vitest';
import type { MetricValues } from '../../contracts/reports.ts';
import type { MetricName } from '../../contracts/spec/evaluation.ts';
import { BinaryScores } from '../../lib/statistics/binary-scores.ts';
import {
  boundsOf,
  intervalsOf,
  resamplesOf,
  sampledDifferences,
  sampledMetrics,
} from '../../lib/statistics/bootstrap.ts';
import { calibrationBins } from '../../lib/statistics/calibration.ts';
import { descending } from '../../lib/statistics/descending.ts';
import { MulticlassScores } from '../../lib/statistics/multiclass-scores.ts';
import { RegressionScores } from '../../lib/statistics/regression-scores.ts';
import type { Scores } from '../../lib/statistics/scores.ts';
import { linearCongruential } from '../support/integration-random.ts';

/** Rows of a problem with ties and some signal, another one for each seed. */
function sample(seed: number, rows = 400) {
  const uniform = linearCongruential(rows * 2, seed);
  const scores = Float64Array.from(uniform.slice(0, rows), (value) => Math.round(value * 50) / 50);
  const positives = Uint8Array.from(uniform.slice(rows), (value, row) =>
    value < (scores[row] ?? 0) ? 1 : 0,
  );
  return { scores, positives, labels: Int32Array.from(positives) };
}

const binary = (positives: Uint8Array, scores: Float64Array): MetricValues =>
  new BinaryScores(positives, scores).metrics();
const auc = (positives: Uint8Array, scores: Float64Array): number =>
  binary(positives, scores).roc_auc ?? Number.NaN;
const regression = (truth: Float64Array, predictions: Float64Array): MetricValues =>
  new RegressionScores(truth, predictions).metrics();

describe.each([1, 2, 3, 4, 5])('for random rows (seed %i)', (seed) => {
  const { scores, positives, labels } = sample(seed);

  it('the AUC is the share of pairs in the right order, ties counted half', () => {
    let right = 0;
    let pairs = 0;
    for (const [i, a] of scores.entries())
      for (const [j, b] of scores.entries())
        if (positives[i] && !positives[j]) {
          pairs++;
          right += a > b ? 1 : a === b ? 0.5 : 0;
        }
    expect(auc(positives, scores)).toBeCloseTo(right / pairs, 12);
  });

  it.each([
    ['exp', Math.exp],
    ['cube', (x: number) => x ** 3],
    ['logit', (x: number) => Math.log((x + 0.01) / (1.01 - x))],
    ['a straight line', (x: number) => 7 * x - 3],
  ])('ranking does not change under %s', (_name, monotone) => {
    const moved = scores.map(monotone);
    expect(auc(positives, moved)).toBe(auc(positives, scores));
    expect(binary(positives, moved).average_precision).toBe(binary(positives, scores).average_precision);
  });

  it('the AUC of turned scores, and that of the other class, are one minus it', () => {
    const turned = scores.map((score) => -score);
    const others = positives.map((positive) => 1 - positive);
    expect(auc(positives, turned)).toBeCloseTo(1 - auc(positives, scores), 12);
    expect(auc(others, scores)).toBeCloseTo(1 - auc(positives, scores), 12);
  });

  it('the order of the rows does not matter', () => {
    const order = [...scores.keys()].sort((a, b) => ((a * 7919) % 401) - ((b * 7919) % 401));
    const shuffled = binary(
      Uint8Array.from(order, (row) => positives[row] ?? 0),
      Float64Array.from(order, (row) => scores[row] ?? 0),
    );
    for (const [name, value] of Object.entries(binary(positives, scores)))
      expect(shuffled[name as keyof typeof shuffled], name).toBeCloseTo(value, 12);
  });

  it('two classes are judged alike as binary and as multi-class problem', () => {
    const both = Float64Array.from([...scores].flatMap((score) => [1 - score, score]));
    const two = binary(positives, scores);
    const many = new MulticlassScores(labels, 2, both).metrics();
    expect(many.log_loss).toBeCloseTo(two.log_loss ?? Number.NaN, 12);
    expect(many.roc_auc).toBeCloseTo(two.roc_auc ?? Number.NaN, 12);
    expect(many.brier_score).toBeCloseTo(2 * (two.brier_score ?? Number.NaN), 12);
  });

  it('all shares lie between 0 and 1', () => {
    const {
      log_loss: logLoss = -1,
      matthews_corrcoef: correlation = 2,
      ...shares
    } = binary(positives, scores);
    expect(logLoss).toBeGreaterThanOrEqual(0);
    expect(Math.abs(correlation)).toBeLessThanOrEqual(1);
    for (const value of Object.values(shares)) {
      expect(value).toBeGreaterThanOrEqual(0);
      expect(value).toBeLessThanOrEqual(1);
    }
  });

  it('the bins of a reliability diagram hold all rows', () => {
    const bins = calibrationBins(positives, scores);
    expect(bins.reduce((sum, bin) => sum + bin.rows, 0)).toBe(scores.length);
    const mean = bins.reduce((sum, bin) => sum + bin.rows * bin.predicted, 0) / scores.length;
    expect(mean).toBeCloseTo(scores.reduce((sum, score) => sum + score, 0) / scores.length, 12);
  });

  it('regression errors move with the unit of the target, r2 does not', () => {
    const truth = Float64Array.from(labels, (label, row) => label + row / 100);
    const base = regression(truth, scores);
    const inCents = regression(
      truth.map((value) => 100 * value + 5),
      scores.map((value) => 100 * value + 5),
    );
    expect(inCents.root_mean_squared_error).toBeCloseTo(100 * (base.root_mean_squared_error ?? 0), 9);
    expect(inCents.median_absolute_error).toBeCloseTo(100 * (base.median_absolute_error ?? 0), 9);
    expect(inCents.r2).toBeCloseTo(base.r2 ?? Number.NaN, 9);
  });
});

describe('rows that count several times, or not at all', () => {
  const rows = 300;
  const uniform = linearCongruential(rows * 5, 11);
  const counts = Uint16Array.from(uniform.slice(0, rows), (value) => Math.floor(value * 4));
  const repeated = Array.from(counts, (count, row) => new Array<number>(count).fill(row)).flat();
  const tenths = (from: number): number[] =>
    uniform.slice(from, from + rows).map((value) => Math.round(value * 10) / 10);
  const at = (values: readonly number[]): number[] => repeated.map((row) => values[row] ?? 0);

  function expectSame(all: Scores, spelledOut: Scores): void {
    const expected = Object.entries(spelledOut.metrics());
    const found = all.metrics(counts);
    expect(Object.keys(found)).toHaveLength(expected.length);
    for (const [name, value] of expected)
      expect((found[name as MetricName] ?? Number.NaN) / value, name).toBeCloseTo(1, 10);
    expect(all.metrics(new Uint8Array(rows).fill(1))).toEqual(all.metrics());
    // Of no rows only what is a share by definition is defined.
    expect(Object.values(all.metrics(new Uint8Array(rows))).every((value) => value === 0)).toBe(true);
  }

  it('are judged as if they stood there so often: binary', () => {
    const labels = tenths(rows).map((value) => (value > 0.4 ? 1 : 0));
    const of = (y: number[], p: number[]) => new BinaryScores(Uint8Array.from(y), Float64Array.from(p));
    expectSame(of(labels, tenths(2 * rows)), of(at(labels), at(tenths(2 * rows))));
  });

  it('… several classes', () => {
    const labels = tenths(rows).map((value) => Math.floor(value * 2.9));
    const shares = tenths(2 * rows).map((a, i) => {
      const parts = [a + 0.1, (tenths(3 * rows)[i] ?? 0) + 0.1, (tenths(4 * rows)[i] ?? 0) + 0.1];
      const sum = parts.reduce((total, part) => total + part, 0);
      return parts.map((part) => part / sum);
    });
    const of = (picked: number[]) =>
      new MulticlassScores(
        Int32Array.from(picked, (row) => labels[row] ?? 0),
        3,
        Float64Array.from(picked.flatMap((row) => shares[row] ?? [])),
      );
    expectSame(of([...labels.keys()]), of(repeated));
  });

  it('… regression', () => {
    const of = (y: number[], p: number[]) => new RegressionScores(Float64Array.from(y), Float64Array.from(p));
    expectSame(of(tenths(rows), tenths(2 * rows)), of(at(tenths(rows)), at(tenths(2 * rows))));
  });
});

describe('the bootstrap', () => {
  const rows = 200;
  const uniform = linearCongruential(rows * 2, 5);
  const truth = Float64Array.from(uniform.slice(0, rows));
  const noisy = (noise: number) =>
    truth.map((value, row) => value + noise * ((uniform[rows + row] ?? 0) - 0.5));
  const range = (before: number, seed = 0) => ({ seed, from: 0, before });
  const intervals = async (scores: Scores, before = 1_000, seed = 0) =>
    intervalsOf(await sampledMetrics(scores, range(before, seed)), 0.95, before);
  const paired = async (first: Scores, second: Scores) =>
    intervalsOf(await sampledDifferences(first, second, range(1_000)), 0.95, 1_000);
  const good = new RegressionScores(truth, noisy(0.2));
  const bad = new RegressionScores(truth, noisy(0.4));

  it('agrees with the normal interval of a mean', async () => {
    const errors = [...noisy(0.2)].map((value, row) => Math.abs(value - (truth[row] ?? 0)));
    const mean = errors.reduce((sum, error) => sum + error, 0) / rows;
    const deviation = Math.sqrt(errors.reduce((sum, error) => sum + (error - mean) ** 2, 0) / rows);
    const { low, high } = (await intervals(good, 4_000)).mean_absolute_error ?? {
      low: 0,
      high: 0,
    };
    const half = (1.96 * deviation) / Math.sqrt(rows);
    expect(low).toBeCloseTo(mean - half, 3);
    expect(high).toBeCloseTo(mean + half, 3);
  });

  it('is the same for the same seed, and another for another', async () => {
    const once = await intervals(good, 50, 3);
    expect(await intervals(good, 50, 3)).toEqual(once);
    expect(await intervals(good, 50, 4)).not.toEqual(once);
  });

  it('of a pair is narrower than the two apart, and holds the difference', async () => {
    const { low, high } = (await paired(good, bad)).mean_absolute_error ?? { low: 0, high: 0 };
    const difference = (good.metrics().mean_absolute_error ?? 0) - (bad.metrics().mean_absolute_error ?? 0);
    expect(low).toBeLessThan(difference);
    expect(high).toBeGreaterThan(difference);
    expect(high).toBeLessThan(0);
    const apart = (await intervals(bad)).mean_absolute_error ?? { low: 0, high: 0 };
    expect(high - low).toBeLessThan(apart.high - apart.low);
    expect((await paired(good, good)).r2).toEqual({ low: 0, high: 0 });
  });

  it('of a pair as a share is the difference by the value of the other in the same sample', async () => {
    const name = 'mean_absolute_error';
    const sampledBad = (await sampledMetrics(bad, range(50)))[name] ?? new Float64Array();
    const units = (await sampledDifferences(good, bad, range(50)))[name] ?? new Float64Array();
    const shares = (await sampledDifferences(good, bad, range(50), 'share'))[name];
    expect(shares).toEqual(units.map((value, at) => value / (sampledBad[at] ?? 0)));
    const exact = new RegressionScores(truth, truth);
    expect((await sampledDifferences(good, exact, range(50), 'share'))[name] ?? []).toHaveLength(0);
  });

  it('tells no interval and no bound where more than one sample of a hundred has one class alone', async () => {
    const uniform = linearCongruential(60, 5);
    const positives = (count: number) =>
      new BinaryScores(
        Uint8Array.from(uniform, (_, row) => (row < count ? 1 : 0)),
        Float64Array.from(uniform, (value, row) => (row < count ? 1 : value / 2)),
      );
    const samples = async (count: number) => sampledMetrics(positives(count), range(1_000));
    const [one, many] = [await samples(1), await samples(10)];
    // The single positive row is not in a third of the samples; of the others the AUC is 1.
    expect(one.roc_auc?.length).toBeLessThan(700);
    expect(intervalsOf(one, 0.95, 1_000).roc_auc).toBeUndefined();
    expect(boundsOf(one, 0.95, 1_000).roc_auc).toBeUndefined();
    expect(intervalsOf(one, 0.95, 1_000).accuracy).toBeDefined();
    expect(boundsOf(many, 0.95, 1_000).roc_auc).toEqual({ low: 1, high: 1 });
  });

  it('tells no bound where fewer than five samples lie beyond it, and draws as many as it takes', async () => {
    const bounds = async (before: number, confidence: number) =>
      boundsOf(await sampledMetrics(good, range(before)), confidence, before).r2;
    expect(await bounds(99, 0.95)).toBeUndefined();
    expect(await bounds(100, 0.95)).toBeDefined();
    expect(await bounds(499, 0.99)).toBeUndefined();
    expect(await bounds(500, 0.99)).toBeDefined();
    expect([
      resamplesOf(5e6, 1_000),
      resamplesOf(5e6, 1_000, [0.95, 0.99]),
      resamplesOf(5e6, 50, [0.99]),
    ]).toEqual([100, 500, 50]);
    expect(resamplesOf(5e6, 10_000, [0.999])).toBe(500);
  });

  it('refuses models that were judged on other rows', async () =>
    await expect(paired(good, new RegressionScores(truth.subarray(1), truth.subarray(1)))).rejects.toThrow(
      /same rows, not on 200 and 199/,
    ));
});

describe('rows from the highest score to the lowest', () => {
  it.each([100, 50_000])('%i of them, with ties, signs and both zeros', (rows) => {
    const uniform = linearCongruential(rows, 3);
    const scores = Float64Array.from(uniform, (value, i) =>
      i % 5 === 0
        ? Math.round(value * 9) / 9 - 0.5
        : i % 5 === 1
          ? -0
          : i % 5 === 2
            ? value * 1e-300
            : (value - 0.5) * 1e9,
    );
    const compared = [...scores.keys()].sort((a, b) => (scores[b] ?? 0) - (scores[a] ?? 0) || a - b);
    expect([...descending(scores)]).toEqual(compared);
    const singles = Float64Array.from(scores, Math.fround);
    const order = descending(singles);
    for (let i = 1; i < rows; i++)
      expect((singles[order[i] ?? 0] ?? 0) <= (singles[order[i - 1] ?? 0] ?? 0)).toBe(true);
  });
});

it('a million rows are ranked without recursion or copies of rows', () => {
  const { scores, positives } = sample(9, 1_000_000);
  expect(auc(positives, scores)).toBeCloseTo(0.83, 1);
});

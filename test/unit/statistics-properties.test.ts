import { describe, expect, it } from 'vitest';
import { calibrationBins, expectedCalibrationError } from '../../lib/statistics/calibration.ts';
import { binaryMetrics, multiclassMetrics, regressionMetrics } from '../../lib/statistics/metrics.ts';
import { averagePrecision, rankingCurve, rocAuc } from '../../lib/statistics/ranking.ts';
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

const auc = (positives: Uint8Array, scores: Float64Array): number =>
  rocAuc(rankingCurve(positives, scores)) ?? Number.NaN;

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
    expect(averagePrecision(rankingCurve(positives, moved))).toBe(
      averagePrecision(rankingCurve(positives, scores)),
    );
  });

  it('the AUC of turned scores, and that of the other class, are one minus it', () => {
    const turned = scores.map((score) => -score);
    const others = positives.map((positive) => 1 - positive);
    expect(auc(positives, turned)).toBeCloseTo(1 - auc(positives, scores), 12);
    expect(auc(others, scores)).toBeCloseTo(1 - auc(positives, scores), 12);
  });

  it('the order of the rows does not matter', () => {
    const order = [...scores.keys()].sort((a, b) => ((a * 7919) % 401) - ((b * 7919) % 401));
    const shuffled = binaryMetrics(
      Int32Array.from(order, (row) => labels[row] ?? 0),
      1,
      Float64Array.from(order, (row) => scores[row] ?? 0),
    );
    for (const [name, value] of Object.entries(binaryMetrics(labels, 1, scores)))
      expect(shuffled[name as keyof typeof shuffled], name).toBeCloseTo(value, 12);
  });

  it('two classes are judged alike as binary and as multi-class problem', () => {
    const both = Float64Array.from([...scores].flatMap((score) => [1 - score, score]));
    const two = binaryMetrics(labels, 1, scores);
    const many = multiclassMetrics(labels, 2, both);
    expect(many.log_loss).toBeCloseTo(two.log_loss ?? Number.NaN, 12);
    expect(many.roc_auc).toBeCloseTo(two.roc_auc ?? Number.NaN, 12);
    expect(many.brier_score).toBeCloseTo(2 * (two.brier_score ?? Number.NaN), 12);
  });

  it('all shares lie between 0 and 1', () => {
    const { log_loss: logLoss = -1, ...shares } = binaryMetrics(labels, 1, scores);
    expect(logLoss).toBeGreaterThanOrEqual(0);
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
    expect(expectedCalibrationError(bins)).toBeLessThanOrEqual(1);
  });

  it('regression errors move with the unit of the target, r2 does not', () => {
    const truth = Float64Array.from(labels, (label, row) => label + row / 100);
    const base = regressionMetrics(truth, scores);
    const inCents = regressionMetrics(
      truth.map((value) => 100 * value + 5),
      scores.map((value) => 100 * value + 5),
    );
    expect(inCents.root_mean_squared_error).toBeCloseTo(100 * (base.root_mean_squared_error ?? 0), 9);
    expect(inCents.median_absolute_error).toBeCloseTo(100 * (base.median_absolute_error ?? 0), 9);
    expect(inCents.r2).toBeCloseTo(base.r2 ?? Number.NaN, 9);
  });
});

it('a million rows are ranked without recursion or copies of rows', () => {
  const { scores, positives } = sample(9, 1_000_000);
  expect(auc(positives, scores)).toBeCloseTo(0.83, 1);
});

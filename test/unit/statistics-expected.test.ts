import { describe, expect, it } from 'vitest';
import { seededRandom } from '../../domain/random.ts';
import { BinaryScores } from '../../lib/statistics/binary-scores.ts';
import { boostedLogOdds } from '../../lib/statistics/boosted-trees.ts';
import { expectedBinary, expectedMulticlass } from '../../lib/statistics/expected-scores.ts';

const PROBABILITIES = Float64Array.of(0.1, 0.8, 0.35, 0.6, 0.35, 0.95, 0.05, 0.5);
const ANSWERS = Float64Array.of(0.2, 0.9, 0.4, 0.4, 0.3, 0.7, 0.1, 0.5);

/** The mean of a metric over all outcomes that there may be, each as likely as the probabilities say. */
function overAllOutcomes(metric: 'brier_score' | 'accuracy' | 'log_loss'): {
  mean: number;
  deviation: number;
} {
  const n = PROBABILITIES.length;
  let [first, second] = [0, 0];
  for (let code = 0; code < 2 ** n; code++) {
    const outcomes = Uint8Array.from({ length: n }, (_, i) => (code >> i) & 1);
    const chance = outcomes.reduce(
      (product, outcome, i) => product * (outcome ? (PROBABILITIES[i] ?? 0) : 1 - (PROBABILITIES[i] ?? 0)),
      1,
    );
    const value = new BinaryScores(outcomes, ANSWERS).metrics()[metric] ?? Number.NaN;
    first += chance * value;
    second += chance * value * value;
  }
  return { mean: first, deviation: Math.sqrt(second - first * first) };
}

describe('expected metrics', () => {
  it.each(['brier_score', 'accuracy', 'log_loss'] as const)('%s is the mean over all outcomes', (metric) => {
    const { metrics, intervals } = expectedBinary(PROBABILITIES, ANSWERS, 0.5);
    const { mean, deviation } = overAllOutcomes(metric);
    expect(metrics[metric]).toBeCloseTo(mean, 12);
    const { low = 0, high = 0 } = intervals[metric] ?? {};
    const half = metric === 'accuracy' ? mean - low : high - mean;
    expect(half).toBeCloseTo(1.959963984540054 * deviation, 10);
  });

  it('of many rows the intervals hold the ranking and the decisions in 19 of 20 draws', () => {
    const random = seededRandom(11);
    const n = 800;
    const answers = Float64Array.from({ length: n }, () => random());
    const probabilities = answers.map((answer) => 0.1 + 0.6 * answer * answer);
    const { intervals } = expectedBinary(probabilities, answers, 0.6);
    const inside: Record<string, number> = {};
    const draws = 400;
    for (let draw = 0; draw < draws; draw++) {
      const outcomes = Uint8Array.from(probabilities, (p) => (random() < p ? 1 : 0));
      const found: Record<string, number> = new BinaryScores(outcomes, answers, 0.6).metrics();
      for (const [name, { low, high }] of Object.entries(intervals)) {
        const value = found[name] ?? Number.NaN;
        if (low <= value && value <= high) inside[name] = (inside[name] ?? 0) + 1;
      }
    }
    expect(Object.keys(inside).sort()).toEqual([
      'accuracy',
      'brier_score',
      'f1',
      'log_loss',
      'precision',
      'recall',
      'roc_auc',
    ]);
    for (const [name, count] of Object.entries(inside)) {
      expect(count / draws, name).toBeGreaterThan(0.915);
      expect(count / draws, name).toBeLessThan(0.985);
    }
  });

  it('where the truth is sure they are the metrics', () => {
    const outcomes = Float64Array.of(0, 1, 0, 1, 0, 1, 0, 1);
    const { metrics, intervals } = expectedBinary(outcomes, ANSWERS, 0.5);
    const real = new BinaryScores(Uint8Array.from(outcomes), ANSWERS).metrics();
    for (const [name, value] of Object.entries(metrics))
      expect(value, name).toBeCloseTo(
        Object.entries(real).find(([key]) => key === name)?.[1] ?? Number.NaN,
        10,
      );
    expect(intervals.roc_auc?.low).toBe(intervals.roc_auc?.high);
  });

  it('of two classes, written as several, say the same', () => {
    const both = (values: Float64Array): Float64Array =>
      Float64Array.from([...values].flatMap((value) => [1 - value, value]));
    const two = expectedBinary(PROBABILITIES, ANSWERS, 0.5000001);
    const several = expectedMulticlass(both(PROBABILITIES), both(ANSWERS), 2);
    for (const metric of ['accuracy', 'log_loss', 'roc_auc'] as const)
      expect(several.metrics[metric]).toBeCloseTo(two.metrics[metric] ?? 0, 10);
    expect(several.metrics.brier_score).toBeCloseTo(2 * (two.metrics.brier_score ?? 0), 10);
    expect(several.intervals.accuracy?.low).toBeCloseTo(two.intervals.accuracy?.low ?? 0, 10);
  });

  it('of no rows, or one class, leave out what is not defined', () => {
    expect(expectedBinary(new Float64Array(), new Float64Array(), 0.5)).toEqual({
      metrics: {},
      intervals: {},
    });
    const one = expectedBinary(Float64Array.of(0, 0), Float64Array.of(0.1, 0.2), 0.5);
    expect(one.metrics.roc_auc).toBeUndefined();
    expect(one.intervals.roc_auc).toBeUndefined();
    expect(one.metrics.accuracy).toBe(1);
  });
});

describe('boosted trees', () => {
  const rows = 2_000;
  const random = seededRandom(2);
  const draw = (count: number): Uint8Array =>
    Uint8Array.from({ length: rows }, () => Math.floor(random() * count));
  const [first, second, noise] = [draw(10), draw(4), draw(10)];
  const features = [
    { bins: first, count: 10, ordered: true },
    { bins: second, count: 4, ordered: false },
    { bins: noise, count: 10, ordered: true },
  ];
  const auc = (outcomes: Uint8Array, logOdds: Float64Array): number =>
    new BinaryScores(
      outcomes,
      logOdds.map((x) => 1 / (1 + Math.exp(-x))),
    ).metrics().roc_auc ?? 0;

  it('learn what two features say only together, also of rows that they have not seen', () => {
    // One category of the second turns the first round.
    const outcomes = Uint8Array.from(first, (bin, i) => (bin >= 5 === (second[i] === 2) ? 1 : 0));
    const learned = Uint8Array.from({ length: rows }, (_, i) => (i % 5 === 0 ? 0 : 1));
    const { logOdds, gains } = boostedLogOdds(features, outcomes, learned);
    const unseen = (values: Float64Array | Uint8Array) => values.filter((_, i) => i % 5 === 0);
    expect(auc(Uint8Array.from(unseen(outcomes)), Float64Array.from(unseen(logOdds)))).toBeGreaterThan(0.99);
    expect(gains[2] ?? 1).toBeLessThan(0.05 * Math.min(gains[0] ?? 0, gains[1] ?? 0));
  });

  it('of rows that are not learned from the outcome does not matter', () => {
    const outcomes = Uint8Array.from(first, (bin) => (bin >= 5 ? 1 : 0));
    const learned = Uint8Array.from({ length: rows }, (_, i) => (i < 1_000 ? 1 : 0));
    const other = outcomes.map((outcome, i) => (i < 1_000 ? outcome : 1 - outcome));
    expect(boostedLogOdds(features, other, learned)).toEqual(boostedLogOdds(features, outcomes, learned));
  });
});

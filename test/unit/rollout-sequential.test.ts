import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { seededRandom } from '../../domain/random.ts';
import { addValue, emptyMoments, mergedMoments } from '../../domain/rollout/moments.ts';
import {
  differenceSequence,
  LEAST_ROWS,
  meanSequence,
  rateSequence,
} from '../../domain/rollout/sequential.ts';

const of = (values: readonly number[]) => values.reduce(addValue, emptyMoments());

describe('the interval of a rate', () => {
  // By scipy 1.17: betaln and brentq.
  it.each([
    [0, 1_000, 0.005, 0, 0.009281344889672612],
    [37, 120, 0.005, 0.16171916459619182, 0.4873432785271568],
    [2, 2_281, 0.005, 2.92886627495138e-6, 0.006778334547164853],
    [5, 5, 0.005, 0.2618268119388776, 1],
    [450, 1_000, 0.05, 0.39314941275186216, 0.507737112144407],
    [1_000_000, 1_000_000_000, 0.01, 0.0009945005839236433, 0.0010055196323501868],
  ])('of %d in %d at %d is what a reference says', (successes, trials, alpha, lower, upper) => {
    const found = rateSequence(successes, trials, alpha);
    expect(found.lower / (lower || 1)).toBeCloseTo(lower ? 1 : 0, 6);
    expect(found.upper / upper).toBeCloseTo(1, 6);
  });

  it('is everything without a trial', () => expect(rateSequence(0, 0, 0.01)).toEqual({ lower: 0, upper: 1 }));

  it('holds what was observed, mirrors, and grows with certainty', () => {
    const counts = fc
      .integer({ min: 1, max: 5_000 })
      .chain((trials) => fc.tuple(fc.integer({ min: 0, max: trials }), fc.constant(trials)));
    fc.assert(
      fc.property(counts, ([successes, trials]) => {
        const { lower, upper } = rateSequence(successes, trials, 0.05);
        expect(lower).toBeLessThanOrEqual(successes / trials);
        expect(upper).toBeGreaterThanOrEqual(successes / trials);
        const mirror = rateSequence(trials - successes, trials, 0.05);
        expect(mirror.lower).toBeCloseTo(1 - upper, 6);
        const surer = rateSequence(successes, trials, 0.01);
        expect(surer.lower).toBeLessThanOrEqual(lower);
        expect(surer.upper).toBeGreaterThanOrEqual(upper);
      }),
    );
  });

  it.each([0.002, 0.05, 0.5])('is left by a rate of %d in a tenth of the runs at the most', (rate) => {
    const random = seededRandom(11);
    const runs = 250;
    let left = 0;
    for (let run = 0; run < runs; run++) {
      let successes = 0;
      for (let trial = 1; trial <= 1_500; trial++) {
        if (random() < rate) successes++;
        if (trial > 50 && trial % 10 !== 0) continue;
        const { lower, upper } = rateSequence(successes, trial, 0.1);
        if (rate >= lower && rate <= upper) continue;
        left++;
        break;
      }
    }
    // The bound and three standard errors.
    expect(left / runs).toBeLessThan(0.1 + 3 * Math.sqrt(0.09 / runs));
  });
});

describe('the interval of a mean', () => {
  it('is what the formula of the paper says', () => {
    const { lower, upper } = meanSequence(of(Array.from({ length: 200 }, (_, i) => i % 10)), 0.05, 400);
    expect(lower).toBeCloseTo(4.5 - 0.6278473517944604, 10);
    expect(upper).toBeCloseTo(4.5 + 0.6278473517944604, 10);
  });

  it('says nothing of too few rows', () => {
    const few = of(Array.from({ length: LEAST_ROWS - 1 }, (_, i) => i));
    const many = of(Array.from({ length: LEAST_ROWS }, (_, i) => i));
    expect(meanSequence(few, 0.05, 200).upper).toBe(Number.POSITIVE_INFINITY);
    expect(differenceSequence(few, many, 0.05, 200).lower).toBe(Number.NEGATIVE_INFINITY);
    expect(differenceSequence(many, few, 0.05, 200).upper).toBe(Number.POSITIVE_INFINITY);
    expect(Number.isFinite(differenceSequence(many, many, 0.05, 200).upper)).toBe(true);
  });

  it('of a difference turns with its sides', () => {
    const random = seededRandom(3);
    const a = of(Array.from({ length: 90 }, random));
    const b = of(Array.from({ length: 200 }, () => 2 * random()));
    const there = differenceSequence(a, b, 0.05, 100);
    const back = differenceSequence(b, a, 0.05, 100);
    expect(back.lower).toBeCloseTo(-there.upper, 12);
    expect(back.upper).toBeCloseTo(-there.lower, 12);
  });

  it('does not take a side for certain that has not seen its rare rows yet', () => {
    const random = seededRandom(5);
    const champion = of(Array.from({ length: 4_000 }, () => (random() < 0.03 ? 100 * random() : 0)));
    const { lower, upper } = differenceSequence(of(Array.from({ length: 60 }, () => 0)), champion, 0.05, 100);
    expect(upper).toBeGreaterThan(0);
    expect(lower).toBeLessThan(-champion.mean);
  });

  const logNormal = (random: () => number): number =>
    Math.exp(Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random()));
  it.each([
    ['even', 0.5, (random: () => number) => random()],
    ['skewed', 0.5, (random: () => number) => -Math.log(1 - random())],
    ['long-tailed', 0.1, logNormal],
    ['rare', 0.1, (random: () => number) => (random() < 0.03 ? logNormal(random) : 0)],
  ])(
    'of a difference of %s rows, %d of them the candidate’s, is left as rarely as it says',
    (_name, share, draw) => {
      const random = seededRandom(23);
      const runs = 120;
      let left = 0;
      for (let run = 0; run < runs; run++) {
        const [candidate, champion] = [emptyMoments(), emptyMoments()];
        let outside = false;
        for (let row = 1; row <= 6_000; row++) {
          addValue(random() < share ? candidate : champion, draw(random));
          if (row % 20 !== 0) continue;
          const { lower, upper } = differenceSequence(candidate, champion, 0.1, 200);
          outside ||= lower > 0 || upper < 0;
        }
        if (outside) left++;
      }
      expect(left / runs).toBeLessThan(0.1 + 3 * Math.sqrt(0.09 / runs));
    },
  );

  it('closes in on the difference', () => {
    const random = seededRandom(29);
    let [a, b] = [emptyMoments(), emptyMoments()];
    let length = Number.POSITIVE_INFINITY;
    for (let i = 0; i < 4; i++) {
      a = mergedMoments(a, of(Array.from({ length: 1_000 }, () => random() + 0.2)));
      b = mergedMoments(b, of(Array.from({ length: 1_000 }, random)));
      const { lower, upper } = differenceSequence(a, b, 0.05, 200);
      expect(upper - lower).toBeLessThan(length);
      length = upper - lower;
      expect(lower).toBeLessThan(0.2);
      expect(upper).toBeGreaterThan(0.2);
      expect(lower).toBeGreaterThan(0);
    }
  });
});

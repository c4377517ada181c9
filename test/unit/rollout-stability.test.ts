import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { seededRandom } from '../../domain/random.ts';
import {
  type Bin,
  classBins,
  LEAST_ANSWERS,
  numberBins,
  populationStability,
  stabilityNoise,
} from '../../domain/rollout/population-stability.ts';
import { addNumber, emptySketch } from '../../domain/rollout/sketch.ts';

const sketchOf = (values: readonly number[]) => {
  const sketch = emptySketch();
  for (const value of values) addNumber(sketch, value);
  return sketch;
};
const uniform = (count: number, seed: number): number[] => {
  const random = seededRandom(seed);
  return Array.from({ length: count }, random);
};
const sum = (bins: readonly Bin[], side: keyof Bin): number =>
  bins.reduce((total, bin) => total + bin[side], 0);

describe('bins of numbers', () => {
  it('hold a tenth of the champion’s each, and nothing beyond its ends', () => {
    const bins = numberBins(sketchOf(uniform(5_000, 1)), sketchOf(uniform(3_000, 2)));
    expect(bins).toHaveLength(12);
    expect([bins[0], bins.at(-1)]).toEqual([
      { champion: 0, candidate: 0 },
      { champion: 0, candidate: 0 },
    ]);
    // A bucket of the sketch is 4 % of its number wide.
    for (const bin of bins.slice(1, -1)) expect(Math.abs(bin.champion - 500)).toBeLessThan(200);
  });

  it('lose no number, whatever the numbers are', () => {
    const numbers = fc.array(fc.double({ noNaN: true, min: -1e9, max: 1e9 }), { maxLength: 60 });
    fc.assert(
      fc.property(numbers, numbers, (champion, candidate) => {
        const bins = numberBins(sketchOf(champion), sketchOf(candidate));
        expect(sum(bins, 'champion')).toBe(champion.length);
        expect(sum(bins, 'candidate')).toBe(candidate.length);
      }),
    );
  });

  it('let an answer that is given often move a little, and see it where it moves far', () => {
    const leaves = (shift: number) =>
      sketchOf([0.1, 0.2, 0.5, 0.9].flatMap((leaf) => Array(200).fill(leaf + shift)));
    expect(populationStability(numberBins(leaves(0), leaves(0.01)))).toBe(0);
    expect(populationStability(numberBins(leaves(0), leaves(0.3)))).toBeGreaterThan(1);
  });

  it.each([0, 0.5, -3])('see that a constant %d became another one', (constant) => {
    const all = (value: number) => sketchOf(Array(300).fill(value));
    for (const other of [constant + 1, constant - 1])
      expect(populationStability(numberBins(all(constant), all(other)))).toBeGreaterThan(5);
    expect(populationStability(numberBins(all(constant), all(constant)))).toBe(0);
  });
});

describe('bins of classes', () => {
  it('are the most frequent ones, and one for the others', () => {
    const counts = Object.fromEntries(Array.from({ length: 60 }, (_, i) => [`c${i}`, 60 - i]));
    const bins = classBins(counts, { c0: 5, new: 7 });
    expect(bins).toHaveLength(20);
    expect(bins[0]).toEqual({ champion: 60, candidate: 5 });
    expect(sum(bins, 'champion')).toBe(1_830);
    expect(sum(bins, 'candidate')).toBe(12);
  });
});

describe('the population stability index', () => {
  it('is what the formula says, with half a count more in each bin', () =>
    expect(
      populationStability([
        { champion: 100, candidate: 20 },
        { champion: 300, candidate: 30 },
        { champion: 600, candidate: 50 },
        { champion: 0, candidate: 0 },
      ]),
    ).toBeCloseTo(0.09012517029864785, 12));

  it('is 0 for the same shares, above 0 for others, and finite for an empty side of a bin', () => {
    const bin = fc.record({
      champion: fc.integer({ min: 0, max: 1_000 }),
      candidate: fc.integer({ min: 0, max: 1_000 }),
    });
    fc.assert(
      fc.property(fc.array(bin, { minLength: 1, maxLength: 12 }), (bins) => {
        const index = populationStability(bins);
        expect(index).toBeGreaterThanOrEqual(0);
        expect(Number.isFinite(index)).toBe(true);
        const same = bins.map(({ champion }) => ({ champion, candidate: champion }));
        expect(populationStability(same)).toBeCloseTo(0, 12);
      }),
    );
  });
});

describe('the noise', () => {
  const bins = Array.from({ length: 10 }, (): Bin => ({ champion: 100, candidate: 100 }));
  const noise = (champion: number, candidate: number, alpha = 0.01): number =>
    stabilityNoise(bins, { champion, candidate }, alpha);

  it('is not known of few answers', () => {
    expect(noise(LEAST_ANSWERS - 1, 10_000)).toBe(Number.POSITIVE_INFINITY);
    expect(noise(10_000, LEAST_ANSWERS - 1)).toBe(Number.POSITIVE_INFINITY);
    expect(noise(LEAST_ANSWERS, LEAST_ANSWERS)).toBeLessThan(5);
  });

  it('fades with the answers, and grows with certainty and with bins', () => {
    expect(noise(10_000, 500)).toBeLessThan(0.2);
    expect(noise(1_000_000, 100_000)).toBeLessThan(0.001);
    expect(noise(1_000, 1_000, 0.001)).toBeGreaterThan(noise(1_000, 1_000));
    expect(stabilityNoise([...bins, ...bins], { champion: 1_000, candidate: 1_000 }, 0.01)).toBeGreaterThan(
      noise(1_000, 1_000),
    );
  });

  // Without the allowance of the guard, at every look, with a fifth of false alarms allowed.
  it.each([0.5, 0.1])('is exceeded as rarely as it says, at a share of %d', (share) => {
    const random = seededRandom(41);
    const runs = 60;
    let exceeded = 0;
    for (let run = 0; run < runs; run++) {
      const counts = Array.from({ length: 8 }, (): Bin => ({ champion: 0, candidate: 0 }));
      const answers: Bin = { champion: 0, candidate: 0 };
      let beyond = false;
      for (let row = 1; row <= 5_000; row++) {
        const side = random() < share ? 'candidate' : 'champion';
        const bin = counts[Math.floor(8 * random() ** 1.5)];
        if (bin) bin[side] += 1;
        answers[side] += 1;
        if (row % 10 === 0) beyond ||= populationStability(counts) > stabilityNoise(counts, answers, 0.2);
      }
      if (beyond) exceeded++;
    }
    expect(exceeded / runs).toBeLessThan(0.2);
  });
});

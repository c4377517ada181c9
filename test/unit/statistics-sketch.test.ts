import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { seededRandom } from '../../domain/random.ts';
import { sortAscending } from '../../lib/statistics/ascending.ts';
import { readSketch, SKETCH_VALUES, sketchNumbers } from '../../lib/statistics/number-sketch.ts';
import { packNumbers, unpackNumbers } from '../../lib/statistics/packed-numbers.ts';
import { sketchDistance } from '../../lib/statistics/sketch-distance.ts';
import { symmetricEigen } from '../../lib/statistics/symmetric-eigen.ts';

describe('sorting', () => {
  it('gives what comparing gives, whatever the numbers', () => {
    const any = fc.oneof(
      fc.float({ noNaN: true }),
      fc.constant(0),
      fc.constant(-0),
      fc.integer({ min: -9, max: 9 }),
    );
    fc.assert(
      fc.property(
        fc.array(any, { minLength: 0, maxLength: 40 }),
        fc.integer({ min: 0, max: 3_000 }),
        (some, more) => {
          const random = seededRandom(some.length + more);
          const values = Float32Array.from([
            ...some,
            ...Array.from({ length: more }, () => random() * 200 - 100),
          ]);
          expect([...sortAscending(values.slice())].map((value) => value + 0)).toEqual(
            [...values].sort((a, b) => a - b).map((value) => value + 0),
          );
        },
      ),
      { numRuns: 60 },
    );
  });

  it('sorts in place, also a part of a larger array, and doubles', () => {
    const whole = Float32Array.from({ length: 6_000 }, (_, i) => (i * 7_919) % 6_000);
    sortAscending(whole.subarray(1_000, 5_000));
    expect(whole.subarray(1_000, 5_000).every((value, i, all) => i === 0 || value >= (all[i - 1] ?? 0))).toBe(
      true,
    );
    expect(whole[0]).toBe(0);
    expect([...sortAscending(Float64Array.of(3, 1e-300, -2))]).toEqual([-2, 1e-300, 3]);
  });
});

it('packed numbers come back as they were', () => {
  fc.assert(
    fc.property(fc.array(fc.double({ noNaN: false })), (values) => {
      expect([...unpackNumbers(packNumbers(Float64Array.from(values)))]).toEqual(values);
    }),
  );
});

/** Both distances from their definitions, over all values. */
function byDefinition(a: readonly number[], b: readonly number[]): { ks: number; wasserstein: number } {
  const all = [...new Set([...a, ...b])].sort((x, y) => x - y);
  const share = (values: readonly number[], x: number): number =>
    values.filter((value) => value <= x).length / values.length;
  let [ks, wasserstein] = [0, 0];
  for (const [i, x] of all.entries()) {
    const apart = Math.abs(share(a, x) - share(b, x));
    ks = Math.max(ks, apart);
    wasserstein += apart * ((all[i + 1] ?? x) - x);
  }
  return { ks, wasserstein };
}

const ascending = (values: readonly number[]): Float64Array => sortAscending(Float64Array.from(values));

describe('a sketch', () => {
  it('gives distances as they are defined, where it holds all values', () => {
    const values = fc.array(
      fc.oneof(fc.integer({ min: -5, max: 5 }), fc.double({ min: -10, max: 10, noNaN: true })),
      {
        minLength: 2,
        maxLength: 30,
      },
    );
    fc.assert(
      fc.property(values, values, (a, b) => {
        const sketch = readSketch(sketchNumbers(ascending(a), 0));
        expect(sketch.exact).toBe(true);
        const found = sketchDistance(sketch, ascending(b));
        const wanted = byDefinition(a, b);
        expect(found.ks?.statistic).toBeCloseTo(wanted.ks, 12);
        const deviation = sketch.summary?.deviation ?? 0;
        if (deviation > 1e-6) expect((found.wasserstein ?? 0) * deviation).toBeCloseTo(wanted.wasserstein, 9);
        expect(found.bounds).toEqual({ ks: 0, wasserstein: 0 });
        expect(found.bins.reduce((sum, bin) => sum + bin.current, 0)).toBe(b.length);
        expect(found.bins.reduce((sum, bin) => sum + bin.reference, 0)).toBe(a.length);
      }),
    );
  });

  it('of more values keeps so many, and is off by no more than it says', () => {
    const random = seededRandom(3);
    const normal = (): number =>
      Math.sqrt(-2 * Math.log(random() + 1e-12)) * Math.cos(2 * Math.PI * random());
    const reference = Array.from({ length: 20_000 }, normal);
    const sketch = readSketch(sketchNumbers(ascending(reference), 3));
    expect(sketch).toMatchObject({ exact: false, rows: 20_000, missing: 3 });
    expect(sketch.values.length).toBeLessThanOrEqual(SKETCH_VALUES + 1);
    for (const shift of [0, 0.001, 0.5]) {
      const current = Array.from({ length: 3_000 }, () => normal() + shift);
      const found = sketchDistance(sketch, ascending(current));
      const wanted = sketchDistance(
        { ...readSketch(sketchNumbers(ascending(reference.slice(0, 2)), 0)), ...whole(reference) },
        ascending(current),
      );
      const off = (wanted.ks?.statistic ?? 0) - (found.ks?.statistic ?? 0);
      expect(off).toBeGreaterThanOrEqual(-1e-12);
      expect(off).toBeLessThanOrEqual(found.bounds.ks + 1e-12);
      expect(found.bounds.ks).toBeLessThanOrEqual(1 / SKETCH_VALUES);
      const moved = Math.abs((wanted.wasserstein ?? 0) - (found.wasserstein ?? 0));
      expect(moved).toBeLessThanOrEqual(found.bounds.wasserstein + 1e-12);
    }
  });

  it('of nothing, and against nothing, has no distance', () => {
    const none = readSketch(sketchNumbers(new Float64Array(), 5));
    expect(none).toMatchObject({ rows: 0, missing: 5, summary: null, bins: [] });
    expect(sketchDistance(none, Float64Array.of(1))).toMatchObject({
      psi: null,
      ks: null,
      wasserstein: null,
    });
    const some = readSketch(sketchNumbers(Float64Array.of(1, 2), 0));
    expect(sketchDistance(some, new Float64Array())).toMatchObject({
      psi: null,
      ks: null,
      wasserstein: null,
    });
  });
});

/** A sketch of all values, however many. */
function whole(values: readonly number[]) {
  const sorted = ascending(values);
  const ranks = Float64Array.from(sorted, (_, i) => i + 1);
  const mean = sorted.reduce((sum, value) => sum + value, 0) / sorted.length;
  return {
    exact: true,
    rows: sorted.length,
    values: sorted,
    upTo: ranks,
    below: ranks.map((rank) => rank - 1),
    sums: new Float64Array(sorted.length),
    summary: {
      min: sorted[0] ?? 0,
      max: sorted.at(-1) ?? 0,
      mean,
      deviation: Math.sqrt(sorted.reduce((sum, value) => sum + (value - mean) ** 2, 0) / sorted.length),
    },
  };
}

it('the axes of a symmetric matrix are at right angles and give it back', () => {
  const random = seededRandom(5);
  for (const n of [1, 2, 7, 20]) {
    const matrix = new Float64Array(n * n);
    for (let i = 0; i < n; i++)
      for (let j = 0; j <= i; j++) {
        matrix[i * n + j] = random() - 0.5;
        matrix[j * n + i] = matrix[i * n + j] ?? 0;
      }
    const { values, vectors } = symmetricEigen(matrix, n);
    for (let i = 0; i < n; i++)
      for (let j = 0; j < n; j++) {
        const sum = vectors.reduce(
          (total, vector, k) => total + (values[k] ?? 0) * (vector[i] ?? 0) * (vector[j] ?? 0),
          0,
        );
        expect(sum).toBeCloseTo(matrix[i * n + j] ?? 0, 10);
        const dot = (vectors[i] ?? new Float64Array()).reduce(
          (total, x, k) => total + x * (vectors[j]?.[k] ?? 0),
          0,
        );
        expect(dot).toBeCloseTo(i === j ? 1 : 0, 10);
      }
    expect([...values]).toEqual([...values].sort((a, b) => b - a));
  }
});

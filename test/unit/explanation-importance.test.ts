import { describe, expect, it } from 'vitest';
import { seededRandom } from '../../domain/random.ts';
import { columnSources } from '../../lib/explanation/column-sources.ts';
import { partialDependence } from '../../lib/explanation/dependence.ts';
import { largestGap } from '../../lib/explanation/explained.ts';
import { gridOf } from '../../lib/explanation/grid.ts';
import { permutationImportance } from '../../lib/explanation/importance.ts';
import { answersFrom, linkOf, tolerance } from '../../lib/explanation/link.ts';
import type { ColumnBatch } from '../../lib/onnx/tabular-session.ts';
import type { Problem } from '../../lib/statistics/judge.ts';

const ROWS = 400;
const random = seededRandom(4);
const values = (): Float32Array => Float32Array.from({ length: ROWS }, () => random());
const [a, b, unused] = [values(), values(), values()];
const group = Array.from({ length: ROWS }, (_, row) => (row % 2 === 0 ? 'even' : 'odd'));
const batch: ColumnBatch = {
  rows: ROWS,
  columns: new Map<string, Float32Array | string[]>([
    ['a', a],
    ['b', b],
    ['unused', unused],
    ['group', group],
  ]),
};
/** 10 a, and b for rows of the group "even". */
const answers = async ({ rows, columns }: ColumnBatch): Promise<Float64Array> =>
  Float64Array.from(
    { length: rows },
    (_, row) =>
      10 * Number(columns.get('a')?.[row]) +
      (columns.get('group')?.[row] === 'even' ? Number(columns.get('b')?.[row]) : 0),
  );
const problem: Problem = {
  task: 'regression',
  classNames: [],
  positiveClass: null,
  baseline: { classShares: [], mean: 0 },
};
const even = { name: 'even', rows: Uint8Array.from(group, (name) => (name === 'even' ? 1 : 0)) };
const odd = { name: 'odd', rows: even.rows.map((one) => 1 - one) };

describe('permutation importance', () => {
  it('is what the metric loses, on all rows and on slices; nothing for a column that is not used', async () => {
    const labels = Float32Array.from(await answers(batch));
    const ask = async () =>
      permutationImportance({
        problem,
        metric: 'root_mean_squared_error',
        batch,
        labels,
        columns: ['a', 'b', 'unused'],
        repeats: 4,
        seed: 3,
        slices: [even, odd],
        answers,
      });
    const [all, ofEven, ofOdd] = await ask();
    expect(all?.value).toBeCloseTo(0, 5);
    // Shuffling a uniform column changes it by a distance of variance 1/6.
    expect(all?.columns[0]?.mean).toBeCloseTo(10 / Math.sqrt(6), 0);
    expect(all?.columns[0]?.sd).toBeGreaterThan(0);
    expect(all?.columns[2]).toEqual({ column: 'unused', mean: 0, sd: 0 });
    expect(ofEven?.columns[1]?.mean).toBeGreaterThan(0.2);
    expect(ofOdd?.columns[1]?.mean).toBe(0);
    expect(await ask()).toEqual([all, ofEven, ofOdd]);
  });
});

describe('partial dependence', () => {
  const ask = (name: string, kind: 'numeric' | 'categorical', shownRows = 5) =>
    partialDependence({
      input: { name, kind },
      batch,
      points: 11,
      outputs: 1,
      slices: [even, odd],
      shownRows,
      answers,
    });

  it('is the mean answer with the column set to each value', async () => {
    const curve = await ask('b', 'numeric');
    const meanA = a.reduce((sum, value) => sum + value, 0) / ROWS;
    expect(curve?.grid).toHaveLength(11);
    curve?.grid.forEach((value, at) => {
      expect(curve.means[0]?.[at]).toBeCloseTo(10 * meanA + Number(value) / 2, 4);
    });
    const [ofEven, ofOdd] = curve?.slices ?? [];
    expect((ofEven?.means.at(-1) ?? 0) - (ofEven?.means[0] ?? 0)).toBeGreaterThan(0.9);
    expect((ofOdd?.means.at(-1) ?? 0) - (ofOdd?.means[0] ?? 0)).toBeCloseTo(0, 6);
    expect(curve?.rows).toHaveLength(5);
  });

  it('takes categories by frequency, and shows no single rows where they may not be shown', async () => {
    const curve = await ask('group', 'categorical', 0);
    expect(curve?.grid).toEqual(['even', 'odd']);
    expect(curve?.rows).toEqual([]);
  });
});

describe('the grid of a dependence', () => {
  it('of many numbers it has means of several rows, rounded by the range: no row finds its own value', () => {
    const own = seededRandom(9);
    const ages = Float64Array.from({ length: 300 }, () => 20 + 60 * own());
    const { kind, grid } = gridOf('numeric', ages, 20);
    expect(kind).toBe('number');
    expect(grid).toHaveLength(20);
    expect(grid.every((value) => Number(value) === Number(Number(value).toFixed(1)))).toBe(true);
    // A range of thirty years is not rounded to decades.
    const years = Float32Array.from({ length: 300 }, (_, row) => 1990 + (row % 30));
    expect(new Set(gridOf('numeric', years, 20).grid).size).toBe(20);
    const dates = ages.map((age) => 1.7e9 + age * 86_400);
    expect(gridOf('datetime', dates, 20).grid.every((date) => Number(date) % 86_400 === 0)).toBe(true);
    expect(gridOf('numeric', Float64Array.of(1.25, 1.5, 1.75), 2).grid).toEqual([]);
  });

  it('of few numbers it has those of several rows', () => {
    const column = Float32Array.from({ length: 40 }, (_, row) => (row < 36 ? row % 3 : 7.25 + row));
    expect(gridOf('numeric', column, 20).grid).toEqual([0, 1, 2]);
  });

  it('of personal columns it tells no value', async () => {
    const ask = (name: string, kind: 'numeric' | 'categorical') =>
      partialDependence({
        input: { name, kind },
        batch,
        points: 11,
        outputs: 1,
        slices: [],
        personal: true,
        shownRows: 0,
        answers,
      });
    const numbers = await ask('a', 'numeric');
    expect(numbers?.kind).toBe('share');
    expect(numbers?.grid[0]).toBeCloseTo(0.02, 1);
    expect(numbers?.grid.at(-1)).toBeCloseTo(0.98, 1);
    // The curve is that of the values: 10 a, which is uniform.
    numbers?.grid.forEach((share, at) => {
      expect(Math.abs((numbers.means[0]?.[at] ?? 0) - 10 * Number(share) - 0.25)).toBeLessThan(0.8);
    });
    expect((await ask('group', 'categorical'))?.grid).toEqual(['category 1', 'category 2']);
  });
});

describe('the parts that attributions are made of', () => {
  it('columns of the matrix belong to raw inputs; those of a derived one are shared', () => {
    const matrix = ['age', 'a × b', 'job=x'].map((name) => ({
      name,
      kind: 'number' as const,
      source: name === 'job=x' ? 'job' : name,
    }));
    const derived = [
      {
        kind: 'numeric' as const,
        name: 'a × b',
        missing: 0,
        indicator: false,
        derived: { op: 'product' as const, of: ['a', 'b'] as [string, string] },
      },
    ];
    expect(columnSources({ matrix, derived }, ['job', 'a', 'b', 'age'])).toEqual([[3], [1, 2], [0]]);
  });

  it('answers tell by what they come from scores', () => {
    const scores = Float64Array.of(-2, 0.5, 3);
    const logistic = (sign: number) => scores.map((score) => 1 / (1 + Math.exp(-sign * score)));
    expect(linkOf(scores, 1, logistic(1), ['probability'])).toEqual({
      unit: 'log_odds',
      outputs: [{ score: 0, sign: 1, shift: 0 }],
    });
    expect(linkOf(scores, 1, logistic(-1), ['probability'])?.outputs[0]?.sign).toBe(-1);
    expect(linkOf(scores, 1, scores, ['prediction'])?.unit).toBe('target');
    // A calibration stands between: the direction is known, the unit is the trees' own.
    expect(linkOf(scores, 1, Float64Array.of(0.9, 0.5, 0.2), ['probability'])).toEqual({
      unit: 'score',
      outputs: [{ score: 0, sign: -1, shift: 0 }],
    });
  });

  it('answers that go up and down with the score do not come from it', () => {
    const scores = Float64Array.of(-2, 0.5, 3);
    expect(linkOf(scores, 1, Float64Array.of(0.2, 0.9, 0.3), ['probability'])).toBeUndefined();
    expect(linkOf(scores, 1, Float64Array.of(20, 90, 30), ['prediction'])).toBeUndefined();
  });

  it('small numbers are not taken for each other', () => {
    const scores = Float64Array.of(1e-4, 3e-4, 2e-4);
    expect(linkOf(scores, 1, scores, ['prediction'])?.unit).toBe('target');
    const doubled = scores.map((score) => 2 * score);
    expect(linkOf(scores, 1, doubled, ['prediction'])?.unit).toBe('score');
  });

  it('the tolerance goes with the range of the answers', () => {
    expect(tolerance()).toBe(1e-3);
    expect(tolerance(Float64Array.of(0, 50, 100))).toBeCloseTo(0.101, 9);
    expect(answersFrom('log_odds', [1000, 1000])).toEqual([0.5, 0.5]);
    expect(answersFrom('log_odds', [0])).toEqual([0.5]);
    expect(answersFrom('score', [0])).toBeUndefined();
    expect(largestGap([1, 2], [1, 2.5])).toBe(0.5);
    expect(largestGap([1], [Number.NaN])).toBe(Infinity);
  });
});

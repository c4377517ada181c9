import { describe, expect, it } from 'vitest';
import { seededRandom } from '../../domain/random.ts';
import { sampledShapley } from '../../lib/explanation/sampled-shapley.ts';
import { studentQuantile } from '../../lib/statistics/student.ts';

const COLUMNS = 4;
const ROW = [1, 2, 3, 4];
const random = seededRandom(9);
const BACKGROUND = Array.from({ length: 16 }, () => ROW.map(() => random()));

/** Shapley values of a function of the columns, sampled. */
const explain = (f: (x: readonly number[]) => number, pairs: number, seed = 1) =>
  sampledShapley({
    columns: COLUMNS,
    outputs: 1,
    backgroundRows: BACKGROUND.length,
    pairs,
    confidence: 0.99,
    seed,
    answers: async ({ count, own, background }) =>
      Float64Array.from({ length: count }, (_, at) =>
        f(
          ROW.map((mine, column) =>
            own[at * COLUMNS + column] === 1 ? mine : (BACKGROUND[background[at] ?? 0]?.[column] ?? 0),
          ),
        ),
      ),
  });

const mean = (column: number): number =>
  BACKGROUND.reduce((sum, row) => sum + (row[column] ?? 0), 0) / BACKGROUND.length;

describe('sampled Shapley values', () => {
  it('are exact for a sum over columns', async () => {
    const { contributions } = await explain(([a = 0, b = 0]) => 3 * a - b ** 2, 16);
    expect(contributions[0]).toBeCloseTo(3 * (1 - mean(0)), 9);
    const squares = BACKGROUND.reduce((sum, row) => sum + (row[1] ?? 0) ** 2, 0) / BACKGROUND.length;
    expect(contributions[1]).toBeCloseTo(squares - 4, 9);
    expect([contributions[2], contributions[3]]).toEqual([0, 0]);
  });

  it('add up to the answer, whatever was drawn', async () => {
    const f = ([a = 0, b = 0, c = 0, d = 0]: readonly number[]) => Math.sin(a * b) + c * d * a;
    const { answer, base, contributions } = await explain(f, 16);
    const sum = contributions.reduce((total, value) => total + value, base[0] ?? 0);
    expect(sum).toBeCloseTo(answer[0] ?? 0, 9);
    expect(answer[0]).toBeCloseTo(f(ROW), 9);
    expect(base[0]).toBeCloseTo(BACKGROUND.reduce((total, row) => total + f(row), 0) / BACKGROUND.length, 9);
  });

  it('lie within their error bounds of the exact values, and give the same for the same seed', async () => {
    const f = ([a = 0, b = 0, c = 0]: readonly number[]) => a * b * c;
    const exact = await explain(f, 4_096, 77);
    let outside = 0;
    for (let seed = 0; seed < 30; seed++) {
      const { contributions, errors } = await explain(f, 32, seed);
      contributions.forEach((value, column) => {
        if (Math.abs(value - (exact.contributions[column] ?? 0)) > (errors[column] ?? 0) + 1e-9) outside += 1;
      });
    }
    expect(outside).toBeLessThanOrEqual(6);
    expect(await explain(f, 32, 5)).toEqual(await explain(f, 32, 5));
  });

  it('have the bounds of Student’s distribution', () => {
    // scipy.stats.t.ppf
    expect(studentQuantile(0.975, 30)).toBeCloseTo(2.0422725, 5);
    expect(studentQuantile(0.995, 15)).toBeCloseTo(2.9467129, 4);
    expect(studentQuantile(0.95, 10)).toBeCloseTo(1.8124611, 4);
  });
});

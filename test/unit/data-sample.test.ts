import { describe, expect, it } from 'vitest';
import { sampledRows } from '../../lib/data/sample.ts';

describe('the rows of a sample', () => {
  it.each([
    [3_999, 2_000],
    [2_001, 2_000],
    [10_000, 3],
    [5, 10],
    [1, 1],
    [0, 10],
  ])('of %i rows, %i at the most, reach from the start to the end', (total, limit) => {
    const rows = sampledRows(total, limit);
    const step = Math.max(1, total / limit);
    expect(rows).toHaveLength(Math.min(total, limit));
    rows.forEach((row, i) => {
      expect(row).toBe(Math.floor(i * step));
    });
    // What is left out at the end is less than a step.
    expect(total - (rows.at(-1) ?? -1)).toBeLessThanOrEqual(Math.ceil(step));
  });
});

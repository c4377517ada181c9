import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { rowRanges } from '../../lib/features/table-size.ts';

describe('rowRanges', () => {
  it('covers every row once, in order', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 50_000_000 }),
        fc.integer({ min: 1, max: 64 }),
        (rows, workers) => {
          const ranges = rowRanges(rows, workers);
          expect(ranges.length).toBeLessThanOrEqual(workers);
          expect(ranges[0]?.from).toBe(0);
          expect(ranges.at(-1)?.before).toBe(rows);
          ranges.slice(1).forEach(({ from, before }, index) => {
            expect(from).toBe(ranges[index]?.before);
            expect(before).toBeGreaterThan(from);
          });
        },
      ),
    );
  });

  it('a small table is not shared', () => {
    expect(rowRanges(150_000, 8)).toEqual([{ from: 0, before: 150_000 }]);
  });
});

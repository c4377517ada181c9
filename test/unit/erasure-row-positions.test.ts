import fc from 'fast-check';
import { expect, it } from 'vitest';
import { lostWith, renumbered } from '../../lib/erasure/row-positions.ts';

const numbers = (ranges: readonly { from: number; before: number }[]): number[] =>
  ranges.flatMap(({ from, before }) => Array.from({ length: before - from }, (_, i) => from + i));

const ROWS = 40;
const bound = fc.integer({ min: 0, max: ROWS });
const range = fc.tuple(bound, bound).map(([one, other]) => ({
  from: Math.min(one, other),
  before: Math.max(one, other),
}));
const gone = fc.subarray(Array.from({ length: ROWS }, (_, row) => row));

it('ranges of rows lose and keep the same rows as their numbers one by one', () => {
  fc.assert(
    fc.property(fc.array(range, { maxLength: 3 }), gone, (ranges, lost) => {
      const rows = numbers(ranges);
      expect(lostWith(lost, { sha256: 'a', ranges })).toEqual(lostWith(lost, { sha256: 'a', rows }));
      const after = renumbered({ sha256: 'a', ranges }, lost);
      expect(numbers(after.ranges ?? [])).toEqual(renumbered({ sha256: 'a', rows }, lost).rows);
    }),
  );
});

it('all rows of a table stay all of its rows', () => {
  expect(renumbered({ sha256: 'a' }, [1, 2])).toEqual({ sha256: 'a' });
  expect(lostWith([1, 2], { sha256: 'a' })).toEqual([1, 2]);
});

import type { RowRange } from '../contracts/refs.ts';

/**
 * The next contiguous ranges of a table's rows. A table without rows has one without rows: its answers have columns, too.
 *
 * @param next the first row that no range has yet
 * @param most how many ranges
 * @example nextChunks({ rows: 250, chunkRows: 100, next: 100, most: 10 }) // [{ from: 100, before: 200 }, { from: 200, before: 250 }]
 */
export function nextChunks(table: {
  rows: number;
  chunkRows: number;
  next: number;
  most: number;
}): RowRange[] {
  const { rows, chunkRows, next, most } = table;
  if (rows === 0) return [{ from: 0, before: 0 }];
  const ranges: RowRange[] = [];
  for (let from = next; from < rows && ranges.length < most; from += chunkRows)
    ranges.push({ from, before: Math.min(rows, from + chunkRows) });
  return ranges;
}

/**
 * What is wrong with chunks that should cover all rows once, in order; `undefined` where nothing is.
 *
 * @example gapIn([{ from: 0, before: 10 }, { from: 20, before: 30 }], 30) // 'rows 10 to 19 are in no chunk'
 */
export function gapIn(chunks: readonly RowRange[], rows: number): string | undefined {
  let next = 0;
  for (const { from, before } of chunks) {
    if (from > next) return `rows ${next} to ${from - 1} are in no chunk`;
    if (from < next) return `row ${from} is in two chunks`;
    next = before;
  }
  return next === rows ? undefined : `the chunks end at row ${next} of ${rows}`;
}

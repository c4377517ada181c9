import type { Dependence } from '../../contracts/explanation.ts';
import type { ModelInput } from '../../contracts/serving.ts';
import type { InputColumn } from '../onnx/tabular-session.ts';

/** Extreme values are few rows' and would stretch the picture. */
const GRID_SHARES = { from: 0.02, to: 0.98 };
/** What fewer of the rows have says little, and may be one person's own. */
const LEAST_ROWS = 5;
const DAY = 86_400;
const HOUR = 3_600;

/**
 * Values of a column to look at. None is a single row's own: a category, or a number of a column that has few, is one that
 * at least 5 rows have; of other numbers it is the mean of the 5 rows around a quantile, rounded to a hundredth of the
 * range or less (dates to days or hours).
 *
 * @param points how many at the most
 */
export function gridOf(
  kind: ModelInput['kind'],
  column: InputColumn,
  points: number,
): { kind: Dependence['kind']; grid: (number | string)[] } {
  if (!(column instanceof Float32Array || column instanceof Float64Array))
    return { kind: 'category', grid: categories(column).slice(0, points) };
  const sorted = Float64Array.from(column.filter((value) => Number.isFinite(value))).sort();
  const counts = new Map<number, number>();
  for (const value of sorted) counts.set(value, (counts.get(value) ?? 0) + 1);
  const few = counts.size <= points;
  const values = few
    ? [...counts].filter(([, count]) => count >= LEAST_ROWS).map(([value]) => single(kind, value))
    : quantiles(kind, sorted, points);
  const grid = [...new Set(values)].sort((a, b) => a - b);
  if (kind === 'boolean') return { kind: 'category', grid };
  return { kind: kind === 'datetime' ? 'date' : 'number', grid };
}

/** The digits that float32 has. */
const single = (kind: ModelInput['kind'], value: number): number =>
  kind === 'datetime' ? value : Number(value.toPrecision(7));

function quantiles(kind: ModelInput['kind'], sorted: Float64Array, points: number): number[] {
  if (sorted.length < LEAST_ROWS) return [];
  const last = sorted.length - LEAST_ROWS;
  const means = Array.from({ length: points }, (_, i) => {
    const share = GRID_SHARES.from + ((GRID_SHARES.to - GRID_SHARES.from) * i) / Math.max(1, points - 1);
    const from = Math.round(share * last);
    return sorted.subarray(from, from + LEAST_ROWS).reduce((sum, value) => sum + value, 0) / LEAST_ROWS;
  });
  const range = (means.at(-1) ?? 0) - (means[0] ?? 0);
  if (kind === 'datetime') {
    const unit = range > 30 * DAY ? DAY : HOUR;
    return means.map((mean) => Math.floor(mean / unit) * unit);
  }
  const digits = Math.floor(Math.log10(range)) - 2;
  return means.map((mean) => (range > 0 ? rounded(mean, digits) : mean));
}

/** To a power of ten, without the noise of its multiples. */
const rounded = (value: number, power: number): number =>
  power < 0
    ? Number((Math.round(value * 10 ** -power) / 10 ** -power).toPrecision(12))
    : Math.round(value / 10 ** power) * 10 ** power;

/** What share of the rows lies below each value of a grid, those that have it counted half; in hundredths. */
export function shares(grid: readonly number[], column: InputColumn): number[] {
  const present = Array.from(column, Number).filter((value) => Number.isFinite(value));
  return grid.map((at) => {
    const below = present.reduce((sum, value) => sum + (value < at ? 1 : value === at ? 0.5 : 0), 0);
    return Math.round((100 * below) / Math.max(1, present.length)) / 100;
  });
}

/** Categories with enough rows, the most frequent first. */
export function categories(column: readonly string[]): string[] {
  const counts = new Map<string, number>();
  for (const value of column) if (value !== '') counts.set(value, (counts.get(value) ?? 0) + 1);
  return [...counts]
    .filter(([, count]) => count >= LEAST_ROWS)
    .sort((a, b) => b[1] - a[1] || (a[0] < b[0] ? -1 : 1))
    .map(([value]) => value);
}

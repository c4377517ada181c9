import { chiSquareSurvival } from './distributions.ts';

/** Rows of one bin or category in two tables. */
export interface CountPair {
  reference: number;
  current: number;
}

/** A cell of a chi-square test whose expected count is below this is pooled with others (Cochran 1954). */
const MIN_EXPECTED = 5;

const sum = (pairs: readonly CountPair[], side: keyof CountPair): number =>
  pairs.reduce((total, pair) => total + pair[side], 0);

/**
 * Population stability index: Σ (q − p) · ln(q / p) over the shares p of the reference and q of the current table.
 * A bin that is empty on one side counts as half a row there, so that the index stays finite. Rules of thumb: below
 * 0.1 stable, 0.1 to 0.2 (or 0.25) a moderate change, above a large one (Siddiqi 2006).
 *
 * @returns null where a side has no rows
 * @example populationStability([{ reference: 50, current: 40 }, { reference: 50, current: 60 }]) // 0.0405…
 */
export function populationStability(pairs: readonly CountPair[]): number | null {
  const reference = sum(pairs, 'reference');
  const current = sum(pairs, 'current');
  if (reference === 0 || current === 0) return null;
  let index = 0;
  for (const pair of pairs) {
    if (pair.reference === 0 && pair.current === 0) continue;
    const p = (pair.reference || 0.5) / reference;
    const q = (pair.current || 0.5) / current;
    index += (q - p) * Math.log(q / p);
  }
  return index;
}

/**
 * Jensen-Shannon distance with base 2: the square root of the divergence, from 0 (the same) to 1 (nothing in common);
 * as `scipy.spatial.distance.jensenshannon(p, q, base=2)` (Lin 1991).
 *
 * @returns null where a side has no rows
 */
export function jensenShannon(pairs: readonly CountPair[]): number | null {
  const reference = sum(pairs, 'reference');
  const current = sum(pairs, 'current');
  if (reference === 0 || current === 0) return null;
  let divergence = 0;
  for (const pair of pairs) {
    const p = pair.reference / reference;
    const q = pair.current / current;
    const middle = (p + q) / 2;
    if (p > 0) divergence += (p * Math.log2(p / middle)) / 2;
    if (q > 0) divergence += (q * Math.log2(q / middle)) / 2;
  }
  // Rounding can leave a difference of nothing slightly below zero.
  return Math.sqrt(Math.min(1, Math.max(0, divergence)));
}

/** A chi-square test. */
export interface ChiSquare {
  statistic: number;
  /** Degrees of freedom; 0 where only one category is left, with p-value 1. */
  dof: number;
  pValue: number;
  /** Cramér's V, from 0 to 1: the statistic as an effect size, free of the number of rows. */
  cramersV: number;
}

/**
 * Pearson's chi-square test of homogeneity, as `scipy.stats.chi2_contingency(table, correction=False)`. Categories
 * with an expected count below 5 in either table are pooled into one before; where that one is still too small, it
 * joins the smallest of the others.
 *
 * @returns null where a side has no rows
 */
export function chiSquareHomogeneity(pairs: readonly CountPair[]): ChiSquare | null {
  const reference = sum(pairs, 'reference');
  const current = sum(pairs, 'current');
  if (reference === 0 || current === 0) return null;
  const total = reference + current;
  const smaller = Math.min(reference, current) / total;
  const isSmall = (pair: CountPair): boolean => (pair.reference + pair.current) * smaller < MIN_EXPECTED;
  const add = (a: CountPair, b: CountPair): CountPair => ({
    reference: a.reference + b.reference,
    current: a.current + b.current,
  });
  const large = pairs
    .filter((pair) => !isSmall(pair))
    .sort((a, b) => b.reference + b.current - a.reference - a.current);
  const pool = pairs.filter(isSmall).reduce(add, { reference: 0, current: 0 });
  const last = large.at(-1);
  const cells =
    pool.reference + pool.current === 0
      ? large
      : isSmall(pool) && last
        ? [...large.slice(0, -1), add(last, pool)]
        : [...large, pool];
  let statistic = 0;
  for (const cell of cells) {
    const rows = cell.reference + cell.current;
    for (const [observed, side] of [
      [cell.reference, reference],
      [cell.current, current],
    ] as const) {
      const expected = (rows * side) / total;
      statistic += (observed - expected) ** 2 / expected;
    }
  }
  const dof = cells.length - 1;
  return {
    statistic,
    dof,
    pValue: dof === 0 ? 1 : chiSquareSurvival(statistic, dof),
    cramersV: Math.sqrt(statistic / total),
  };
}

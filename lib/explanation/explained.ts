import type { Attribution } from '../../contracts/explanation.ts';

/** The attributions of one row, held against what the model says about it. */
export interface Explained {
  /** One for each numeric output of the model. */
  attributions: Attribution[];
  /**
   * By how much base and contributions miss what the model itself answers, in the unit of its answers (that of the scores
   * for attributions of a `score`).
   */
  gap: number;
  /** Whether rounding explains the gap; else the attributions are not of this model. */
  holds: boolean;
}

/** What base and contributions add up to. */
export const sumOf = ({ base, contributions }: Attribution): number =>
  contributions.reduce((sum, { value }) => sum + value, base);

/** The largest difference between two lists; infinite where one of them is no number. */
export function largestGap(some: ArrayLike<number>, others: ArrayLike<number>): number {
  let gap = 0;
  for (let k = 0; k < some.length; k++) {
    const distance = Math.abs((some[k] ?? Number.NaN) - (others[k] ?? Number.NaN));
    gap = Math.max(gap, Number.isNaN(distance) ? Infinity : distance);
  }
  return gap;
}

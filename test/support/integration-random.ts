/**
 * Numbers in [0, 1) that every language can make: a linear congruential generator (Numerical Recipes), so that a
 * reference computed elsewhere speaks of the same rows.
 */
export function linearCongruential(count: number, seed: number): number[] {
  let state = seed;
  return Array.from({ length: count }, () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  });
}

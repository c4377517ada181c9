/** Bits of evidence that it takes where nothing but the values speaks for a kind, and where the column's name or a written form does too. */
const PRIOR_BITS = { alone: 16, hinted: 4 } as const;
/** Least share of real ones among values of the right shape, for checks that chance passes now and then. */
const MIN_REAL = { alone: 0.5, hinted: 0.2 } as const;
/** A check that chance passes less often, in one of ten thousand, is not passed by chance. */
export const RARE = 1e-4;
/** From this posterior on a finding counts as verified. */
const SURE = 0.99;

/** How many values of a shape passed a check that chance passes now and then. */
export interface Trials {
  /** Distinct values of the shape that were looked at. */
  tried: number;
  passed: number;
  /** Probability that a value of the shape that is no such thing passes. */
  chance: number;
  /** Whether the column's name, or a form that is written for this kind only, speaks for it. */
  hinted: boolean;
}

/** What the trials say. */
export interface Likelihood {
  /** Log₂ of the Bayes factor against chance. */
  bits: number;
  /** Share of real ones among the tried, with those that chance passes taken off. */
  real: number;
  /** Posterior probability that it is more than chance. */
  confidence: number;
  verified: boolean;
}

/** Kullback-Leibler divergence of two Bernoulli variables, in bits. */
const divergence = (q: number, p: number): number =>
  (q === 0 ? 0 : q * Math.log2(q / p)) + (q === 1 ? 0 : (1 - q) * Math.log2((1 - q) / (1 - p)));

/**
 * Decides whether values pass a check more often than by chance.
 *
 * H₀: each passes with probability `chance` (a tenth of all numbers satisfy Luhn). H₁: a share `real` are the thing
 * and pass, the rest pass by chance. The Bayes factor is the likelihood ratio at the best `real`, which is
 * `2^(n · KL(passed/n ‖ chance))`, less `½ log₂(n + 1)` for having chosen it (Schwarz, 1978). The prior odds are
 * 1 : 2¹⁶ (1 : 2⁴ with a hint), as many columns are tried against many checks. Verified means a posterior of 0.99 and,
 * for checks that chance passes in more than one of 10,000, that half of the values are real (a fifth with a hint):
 * a structure that raises the rate a little, such as a counter with a digit of its own, is not enough.
 */
export function likelihood({ tried, passed, chance, hinted }: Trials): Likelihood {
  const rate = tried === 0 ? 0 : passed / tried;
  if (rate <= chance) return { bits: 0, real: 0, confidence: 0, verified: false };
  const bits = Math.max(0, tried * divergence(rate, chance) - Math.log2(tried + 1) / 2);
  const real = (rate - chance) / (1 - chance);
  const key = hinted ? 'hinted' : 'alone';
  const confidence = 1 / (1 + 2 ** Math.min(60, PRIOR_BITS[key] - bits));
  const enough = chance < RARE || real >= MIN_REAL[key];
  return { bits, real, confidence: enough ? confidence : 0, verified: enough && confidence >= SURE };
}

/** Probabilities are kept this far from 0 and 1 before their logarithm is taken, in the graph as well. */
export const CLIP = 1e-7;

/** The logarithm of a probability; NaN stays NaN. */
export const safeLog = (probability: number): number =>
  Math.log(Math.min(1 - CLIP, Math.max(CLIP, probability)));

/** `log(p / (1 - p))`, between -16.1 and 16.1; NaN stays NaN. */
export const logOdds = (probability: number): number => {
  const kept = Math.min(1 - CLIP, Math.max(CLIP, probability));
  return Math.log(kept) - Math.log(1 - kept);
};

/** The logistic function, the inverse of {@link logOdds}. */
export const logistic = (value: number): number => 1 / (1 + Math.exp(-value));

/** `log(1 + exp(value))` that does not overflow. */
export const softplus = (value: number): number =>
  Math.max(value, 0) + Math.log1p(Math.exp(-Math.abs(value)));

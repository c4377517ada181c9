import type { MetricValues } from '../../contracts/reports.ts';
import type { MetricName } from '../../contracts/spec/evaluation.ts';

/** How often each row counts, `[n]`: 0 leaves it out. A slice counts its rows once, a bootstrap sample some twice. */
export type RowCounts = Uint8Array | Uint16Array;

/**
 * The answers of a model held against the truth. What no choice of rows changes (the order of the scores, the loss of
 * each row) is worked out once, so that metrics of many samples and slices of the rows are cheap.
 */
export interface Scores {
  /** Number of rows, n. */
  readonly rows: number;
  /**
   * All metrics, over every row once or as often as it counts. Only finite values are a result: a metric that is not
   * defined on the rows is left out.
   */
  metrics(counts?: RowCounts): MetricValues;
}

/** Probabilities are kept this far from 0 and 1 in logarithms, as scikit-learn does for float32. */
const EPSILON = 1.1920929e-7;

/** Minus the logarithm of the probability that was given to what came true. */
export const logLossOf = (probability: number): number =>
  -Math.log(Math.min(1 - EPSILON, Math.max(EPSILON, probability)));

/** Metrics that are defined. */
export const finite = (values: Partial<Record<MetricName, number | undefined>>): MetricValues =>
  Object.fromEntries(
    Object.entries(values).filter(([, value]) => value !== undefined && Number.isFinite(value)),
  );

/** A share; of nothing it is 0, as scikit-learn has it with `zero_division=0`. */
export const ratio = (part: number, whole: number): number => (whole === 0 ? 0 : part / whole);

/** 1 for the rows of a class, else 0. */
export function membersOf(index: number, labels: Int32Array | Float32Array): Uint8Array {
  const members = new Uint8Array(labels.length);
  for (let row = 0; row < labels.length; row++) members[row] = labels[row] === index ? 1 : 0;
  return members;
}
